import { describe, expect, it } from 'vitest';
import type { Job } from '../api/client';
import { cloneLink, fromQuery, paramsOf, toQuery, wantedOf, type Wanted } from './wanted';

const job = {
  id: 'j1',
  title: 'Queens',
  program: 'nqueens',
  module: 'abc',
  params: { n: 8 },
  policy: 'trusted',
  priority: 1,
} as Job;

describe('wantedOf', () => {
  it('takes all that a job of parameters is made of', () => {
    expect(wantedOf(job)).toEqual({ params: '{"n":8}', policy: 'trusted', priority: 1, title: 'Queens' });
  });

  it('takes the input of a job that had one', () => {
    const plain: Job = { ...job, program: '', params: {}, args: ['-v'], collect: 'concat', split: 'lines:7' };
    const { params, args, collect, split, job: of } = wantedOf(plain);
    expect({ params, args, collect, split, of }).toEqual({ args: ['-v'], split: 'lines:7', of: 'j1' });
    expect(wantedOf({ ...plain, split: 'range:1:9' })).toMatchObject({ split: 'range:1:9', job: undefined });
    expect(wantedOf({ ...plain, split: 'job' })).toMatchObject({ split: undefined, job: 'j1' });
    expect(wantedOf({ ...plain, collect: 'json' }).collect).toBe('json');
    expect(wantedOf({ ...job, collect: 'concat' }).collect).toBe('concat');
  });
});

describe('links', () => {
  it('carry everything there and back', () => {
    const wanted: Wanted = {
      params: '{"seed":12345678901234567890}',
      args: ['-v', 'two words', ''],
      collect: 'ndjson',
      split: 'bytes:100',
      job: 'j1',
      policy: 'strict:3',
      priority: 0.5,
      onError: 'skip',
      title: 'Ada & co',
    };
    expect(fromQuery(new URLSearchParams(toQuery('abc', wanted).toString()))).toEqual(wanted);
  });

  it('leave out what is usual', () => {
    expect(cloneLink({ ...job, title: '' })).toBe(
      '/submit?program=abc&params=%7B%22n%22%3A8%7D&policy=trusted',
    );
  });

  it('may be damaged', () => {
    expect(fromQuery(new URLSearchParams('collect=heap&priority=much'))).toEqual({});
    expect(paramsOf('{"n":')).toBeUndefined();
    expect(paramsOf('null')).toBeUndefined();
    expect(paramsOf('{"n":8}')).toEqual({ n: 8 });
  });
});
