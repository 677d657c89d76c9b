import { describe, expect, it } from 'vitest';
import { encode, encodeAll, examplesOf, fieldsOf, numeral, summary, valuesOf, type Field } from './schema';

const schema = {
  type: 'object',
  required: ['n'],
  examples: [{ n: 16, center: [1, 2] }],
  properties: {
    n: { title: 'Queens', description: 'How many.', type: 'integer', default: 12, minimum: 1, maximum: 20 },
    zoom: { type: 'number', default: 1, minimum: 0.1 },
    center: {
      type: 'array',
      default: [-0.5, 0],
      minItems: 2,
      maxItems: 2,
      items: { type: 'number', maximum: 4 },
    },
    numbers: { type: 'array', minItems: 1, maxItems: 4, items: { type: 'integer' } },
    words: { type: 'array', items: { type: 'string' } },
    label: { type: 'string', maxLength: 5 },
    fast: { type: 'boolean', default: true },
    mode: { enum: ['a', 2] },
    other: { type: 'object' },
  },
};
const fields = fieldsOf(schema);
const field = (name: string): Field => fields.find((f) => f.name === name)!;

describe('fieldsOf', () => {
  it('knows the kinds', () => {
    expect(fields.map((f) => f.kind)).toEqual([
      'integer', 'number', 'tuple', 'list', 'list', 'string', 'boolean', 'choice', 'json',
    ]); // prettier-ignore
  });

  it('takes titles, hints and bounds', () => {
    expect(field('n')).toMatchObject({
      title: 'Queens',
      hint: 'How many.',
      required: true,
      minimum: 1,
      maximum: 20,
    });
    expect(field('zoom').title).toBe('zoom');
    expect(field('center')).toMatchObject({ item: 'number', maximum: 4 });
  });

  it('follows references to definitions', () => {
    const found = fieldsOf({
      properties: {
        from: { $ref: '#/$defs/a~1b', title: 'From' },
        all: { type: 'array', items: { $ref: '#/$defs/a~1b' } },
        odd: { $ref: '#/$defs/odd' },
      },
      $defs: { 'a/b': { type: 'integer', title: 'Year', minimum: 1900 }, odd: { $ref: '#/$defs/odd' } },
    });
    expect(found[0]).toMatchObject({ title: 'From', kind: 'integer', minimum: 1900 });
    expect(found[1]).toMatchObject({ title: 'all', kind: 'list', item: 'integer' });
    expect(found[2]).toMatchObject({ title: 'odd', kind: 'json' });
  });

  it('finds nothing where there is no schema', () => {
    expect(fieldsOf(undefined)).toEqual([]);
    expect(fieldsOf('nonsense')).toEqual([]);
    expect(examplesOf(null)).toEqual([]);
  });
});

describe('valuesOf', () => {
  it('shows the defaults', () => {
    expect(valuesOf(fields)).toMatchObject({
      n: '12',
      center: ['-0.5', '0'],
      numbers: '',
      fast: true,
      mode: '',
    });
  });

  it('shows what is given', () => {
    const given = { n: 8, numbers: [1, 2], words: ['a b', 'c'], mode: 2, other: { x: 1 }, fast: false };
    expect(valuesOf(fields, given)).toMatchObject({
      n: '8',
      numbers: '1, 2',
      words: 'a b\nc',
      mode: '2',
      other: '{"x":1}',
      fast: false,
    });
  });
});

describe('encode', () => {
  it.each([
    ['n', '8', '8'],
    ['n', '1e1', '10'],
    ['zoom', '2.50', '2.5'],
    ['center', ['1', '-2'], '[1,-2]'],
    ['numbers', '1 2;3,4', '[1,2,3,4]'],
    ['numbers', '123456789012345678901234567890', '[123456789012345678901234567890]'],
    ['words', 'a b\n\nc', '["a b","c"]'],
    ['label', 'hé', '"hé"'],
    ['fast', false, 'false'],
    ['mode', '"a"', '"a"'],
    ['other', '{"x":1}', '{"x":1}'],
  ])('%s: %j is %s', (name, value, json) => {
    expect(encode(field(name), value)).toEqual({ json });
  });

  it.each([
    ['n', '', 'Fill this in.'],
    ['n', '2.5', 'A whole number is needed.'],
    ['n', '0', 'At least 1.'],
    ['n', '21', 'At most 20.'],
    ['zoom', 'much', 'A number is needed.'],
    ['center', ['1', '5'], 'Number 2: At most 4.'],
    ['center', ['1', ''], 'Number 2: Fill this in.'],
    ['numbers', '1 x', 'Number 2: A whole number is needed.'],
    ['numbers', '1 2 3 4 5', 'At most 4 allowed, there are 5.'],
    ['label', 'abcdef', 'At most 5 characters.'],
    ['other', '{', 'This is not JSON.'],
  ])('%s: %j is refused', (name, value, error) => {
    expect(encode(field(name), value)).toEqual({ error });
  });

  it('leaves out what is empty and not needed', () => {
    expect(encode(field('zoom'), '')).toEqual({});
    expect(encode(field('mode'), '')).toEqual({});
  });
});

it('numeral reads numbers as people type them', () => {
  const read = (typed: string) => numeral(typed, false);
  expect(['1,000,000', '1 000', '1_000', '+5', '007', '.5', '5.', '-0.50', '1e-3'].map(read)).toEqual([
    '1000000', '1000', '1000', '5', '7', '0.5', '5', '-0.5', '1e-3',
  ]); // prettier-ignore
  expect(['', 'x', '1,00', '.', 'e5', '--1', '1e999', '0x10'].map(read)).toEqual(Array(8).fill(undefined));
});

it('puts everything together', () => {
  const values = { ...valuesOf(fields), numbers: '7', n: '99' };
  const { json, errors } = encodeAll(fields, values);
  expect(errors).toEqual({ n: 'At most 20.' });
  expect(JSON.parse(json)).toEqual({ zoom: 1, center: [-0.5, 0], numbers: [7], fast: true });
});

it('says what an example sets', () => {
  expect(summary(fields, examplesOf(schema)[0]!)).toBe('Queens 16 · center 1, 2');
});
