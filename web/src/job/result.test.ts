import { afterEach, describe, expect, it, vi } from 'vitest';
import { csv, fetchResult, format, textOf } from './result';

describe('fetchResult', () => {
  afterEach(() => vi.unstubAllGlobals());

  it('tells what is new from what is the same and from nothing', async () => {
    const answers = [
      new Response(null, { status: 204 }),
      new Response('a\nb\n', { headers: { ETag: '"1"' } }),
      new Response(null, { status: 304 }),
    ];
    vi.stubGlobal('fetch', () => Promise.resolve(answers.shift()));
    const options = { most: 3, signal: new AbortController().signal };
    expect(await fetchResult('j', options)).toBe('nothing');
    expect(await fetchResult('j', options)).toMatchObject({ etag: '"1"', cut: true });
    expect(await fetchResult('j', options)).toBe('same');
  });
});

describe('csv', () => {
  it('reads quotes, commas and both ends of lines', () => {
    expect(csv('a,b\r\n"x, ""y""",2\n3,')).toEqual([['a', 'b'], ['x, "y"', '2'], ['3', '']]); // prettier-ignore
  });

  it('takes what there is of a text that was cut', () => {
    expect(csv('a,b\n1,"tw')).toEqual([['a', 'b']]);
    expect(csv('')).toEqual([]);
  });
});

describe('format', () => {
  it('indents JSON', () => {
    expect(format('{"a":[1]}', 'application/json', false)).toEqual({
      kind: 'text',
      text: '{\n  "a": [\n    1\n  ]\n}',
    });
  });

  it('leaves alone what was cut, is broken, or would lose digits', () => {
    for (const [text, cut] of [
      ['[1,2', true],
      ['[1,2', false],
      ['[12345678901234567890]', false],
    ] as const) {
      expect(format(text, 'application/json', cut)).toEqual({ kind: 'text', text });
    }
  });

  it('makes a table of CSV', () => {
    expect(format('word,count\nthe,7\n', 'text/csv; charset=utf-8', false)).toEqual({
      kind: 'table',
      rows: [['word', 'count'], ['the', '7']],
    }); // prettier-ignore
  });
});

it('tells text from data', () => {
  const bytes = (...b: number[]) => new Uint8Array(b).buffer;
  expect(textOf(bytes(0x68, 0xc3, 0xa9, 0x0a), false)).toBe('hé\n');
  expect(textOf(bytes(0x68, 0xc3), true)).toBe('h'); // cut within a character
  expect(textOf(bytes(0x68, 0xc3), false)).toBeUndefined();
  expect(textOf(bytes(0x68, 0), false)).toBeUndefined();
});
