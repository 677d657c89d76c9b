import { expect, it } from 'vitest';
import { backoff, final, queryOf } from './wants';

it('puts all wants in one query that does not depend on their order', () => {
  const query = 'job=a&job=b&grid=true';
  expect(queryOf([{ jobs: ['b', 'a'] }, { grid: true }, { jobs: ['a'] }])).toBe(query);
  expect(queryOf([{ grid: true }, { jobs: ['a'] }, { jobs: ['b'] }])).toBe(query);
});

it('wants nothing when nobody does', () => {
  expect(queryOf([])).toBe('');
  expect(queryOf([{ jobs: [] }])).toBe('');
});

it('leaves out what there is nothing to hear of', () => {
  expect(queryOf([{ jobs: ['a', 'b'] }], (id) => id !== 'a')).toBe('job=b');
  expect(['running', 'paused', 'done', 'failed', 'cancelled', undefined].map(final)).toEqual([
    false, false, true, true, true, false,
  ]); // prettier-ignore
});

it('asks for no more jobs than the API takes', () => {
  const jobs = Array.from({ length: 300 }, (_, i) => `job${i}`);
  expect(new URLSearchParams(queryOf([{ jobs }])).getAll('job')).toHaveLength(200);
});

it('waits longer after each failure, and not for ever', () => {
  expect([1, 2, 3, 10].map(backoff)).toEqual([1000, 2000, 4000, 30_000]);
});
