import { expect, it } from 'vitest';
import type { Job } from '../api/client';
import { mergeFirst } from './list.svelte';
import { contributions, sharesOf } from './shares';

const ids = (...names: string[]) => names.map((id) => ({ id }));
const tasks = (total: number, done: number, lent: number, voting: number) => ({
  total,
  done,
  lent,
  voting,
  waiting: 0,
});

it('counts every task once', () => {
  const numbers = (t: Job['tasks']) => sharesOf(t).map((share) => share.tasks);
  expect(numbers(tasks(10, 4, 2, 1))).toEqual([4, 2, 1, 3]);
  expect(numbers(tasks(10, 8, 5, 1))).toEqual([8, 1, 1, 0]); // more copies than tasks
  expect(numbers(tasks(10, 10, 1, 0))).toEqual([10, 0, 0, 0]);
  expect(sharesOf(tasks(10, 4, 0, 0), true).map(({ word, tasks }) => [word, tasks])).toEqual([['Validated', 4], ['Not done', 6]]); // prettier-ignore
});

it('adds up who computed what', () => {
  const a = { id: 'a', name: 'Ada', ms: 1500 };
  const b = { id: 'b0123456789', ms: 500 };
  expect(contributions([{ volunteers: [a, b] }, { volunteers: [a] }])).toEqual([
    { id: 'a', name: 'Ada', tasks: 2, seconds: 3 },
    { id: 'b0123456789', name: 'Sunny Apricot', tasks: 1, seconds: 0.5 },
  ]);
});

it('keeps older jobs behind a first page that was fetched again', () => {
  const rows = ids('5', '4', '3', '2', '1');
  expect(mergeFirst(rows, ids('7', '6', '4'), true)).toEqual(ids('7', '6', '4', '3', '2', '1'));
  expect(mergeFirst(rows, ids('4', '2'), false)).toEqual(ids('4', '2'));
  expect(mergeFirst(rows, [], false)).toEqual([]);
});
