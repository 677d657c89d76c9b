import { describe, expect, it } from 'vitest';
import { ApiError } from '../api/client';
import { Draft, placeErrors, targetOfModule } from './draft.svelte';
import { fieldsOf } from './schema';
import { splitOf, splitterOf, type Splitter } from './split';

const fields = fieldsOf({ properties: { width: { type: 'integer' }, 'a/b': { type: 'string' } } });
const refusal = (...pointers: string[]) =>
  new ApiError('no', 422, 'r1', pointers.map((field) => ({ field, message: `about ${field}` }))); // prettier-ignore

describe('placeErrors', () => {
  it('puts what the server says beside the control that is meant', () => {
    const error = refusal(
      '/params/width',
      '/params/a~1b',
      '/title',
      '/policy',
      '/input/split',
      '/input/text',
    );
    expect(placeErrors(error, fields, 'text')).toEqual({
      here: {
        'params-width': 'about /params/width',
        'params-a/b': 'about /params/a~1b',
        title: 'about /title',
        votes: 'about /policy',
        'input-split': 'about /input/split',
        'input-text': 'about /input/text',
      },
      rest: false,
    });
  });

  it('knows when something belongs to no control', () => {
    expect(placeErrors(refusal('/params/nothing'), fields, 'text')).toEqual({ here: {}, rest: true });
    expect(placeErrors(refusal(''), fields, 'text').rest).toBe(true);
  });

  it('takes an item of a list for the list', () => {
    expect(placeErrors(refusal('/params/width/0'), fields, 'text').here).toHaveProperty('params-width');
  });
});

describe('splitOf', () => {
  const splitter: Splitter = { by: 'default', n: '100', from: '1', to: '10', step: '' };

  it('writes what the API reads', () => {
    expect(splitOf('text', splitter)).toEqual({});
    expect(splitOf('file', { ...splitter, by: 'lines' })).toEqual({ split: 'lines' });
    expect(splitOf('file', { ...splitter, by: 'bytes:N', n: '4096' })).toEqual({ split: 'bytes:4096' });
    expect(splitOf('range', splitter)).toEqual({ split: 'range:1:10' });
    expect(splitOf('range', { ...splitter, step: '2' })).toEqual({ split: 'range:1:10:2' });
    expect(splitOf('range', { ...splitter, to: '-5', step: '-2' })).toEqual({ split: 'range:1:-5:-2' });
  });

  it('says what is wrong, and where', () => {
    expect(splitOf('text', { ...splitter, by: 'lines:N', n: '0' }).at).toBe('split');
    expect(splitOf('range', { ...splitter, from: 'x' }).at).toBe('range');
    expect(splitOf('range', { ...splitter, to: '0' }).error).toMatch(/never reached/);
    expect(splitOf('range', { ...splitter, step: '0' }).at).toBe('range');
  });
});

describe('splitterOf', () => {
  it('shows what splitOf has written', () => {
    for (const split of ['lines', 'lines:7', 'bytes:4096', 'json']) {
      expect(splitOf('text', splitterOf(split))).toEqual({ split });
    }
    for (const split of ['range:1:10', 'range:5:-5:-2']) {
      expect(splitOf('range', splitterOf(split))).toEqual({ split });
    }
    expect(splitOf('text', splitterOf(undefined))).toEqual({});
  });
});

describe('Draft', () => {
  const plain = targetOfModule({ id: 'abc', bytes: 1, plain: true }, 'echo.wasm');
  const wanted = {
    args: ['-v', 'two\nlines', ''],
    collect: 'ndjson',
    split: 'lines:7',
    job: 'j1',
    policy: 'strict:3',
    priority: 2,
    title: 'Again',
  } as const;

  it('starts from another job and gives the same', () => {
    const draft = new Draft(plain, { ...wanted, args: [...wanted.args] });
    expect(draft.input).toBe('job');
    expect(draft.wanted).toEqual(wanted);
  });

  it('takes another input instead, cut the same way', () => {
    const draft = new Draft(plain, { ...wanted, args: [...wanted.args] });
    draft.input = 'text';
    expect(draft.wanted).toMatchObject({ split: 'lines:7', job: undefined });
    draft.args = '-q\n';
    expect(draft.wanted?.args).toEqual(['-q']);
  });

  it('opens on a range if that is what it was', () => {
    expect(new Draft(plain, { split: 'range:1:9' })).toMatchObject({ input: 'range' });
    expect(new Draft(plain).wanted).toEqual({ priority: 1 });
  });
});
