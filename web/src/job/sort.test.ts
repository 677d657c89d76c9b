import { expect, it } from 'vitest';
import type { Task } from '../api/client';
import { sorted } from './sort';

const task = (n: number, name: string, ms: number): Task => ({
  task: n,
  state: 'done',
  volunteers: [{ id: `id${n}`, name, ms }],
  tries: 1,
  dissents: 0,
  bytes: 0,
  hash: '',
});
const tasks = [task(0, 'bo', 30), task(1, 'ada', 20), task(2, 'bo', 10)];
const order = (...by: [Parameters<typeof sorted>[1], boolean]) => sorted(tasks, ...by).map((t) => t.task);

it('sorts by what is asked for, and then by number', () => {
  expect(order('who', false)).toEqual([1, 0, 2]);
  expect(order('who', true)).toEqual([0, 2, 1]);
  expect(order('seconds', false)).toEqual([2, 1, 0]);
  expect(order('task', true)).toEqual([2, 1, 0]);
  expect(order('bytes', true)).toEqual([0, 1, 2]);
});
