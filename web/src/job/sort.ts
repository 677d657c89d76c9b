import { called } from '../alias';
import type { Task } from '../api/client';

export type Column = 'task' | 'state' | 'who' | 'seconds' | 'tries' | 'dissents' | 'bytes';

/** A task's value in a column, as what it is sorted by. */
function value(task: Task, column: Column): string | number {
  switch (column) {
    case 'who':
      return whoOf(task);
    case 'seconds':
      return secondsOf(task);
    case 'task':
    case 'state':
    case 'tries':
    case 'dissents':
    case 'bytes':
      return task[column];
  }
}

export function whoOf(task: Task): string {
  return task.volunteers.map(({ id, name }) => called(name, id)).join(', ');
}

export function secondsOf(task: Task): number {
  return task.volunteers.reduce((sum, { ms }) => sum + ms, 0) / 1000;
}

/** Sorted by a column; tasks that are equal there stay in the order of their numbers. */
export function sorted(tasks: Task[], column: Column, down: boolean): Task[] {
  const sign = down ? -1 : 1;
  return tasks.toSorted((a, b) => {
    const [x, y] = [value(a, column), value(b, column)];
    const order = typeof x === 'string' ? x.localeCompare(String(y), 'en') : x - Number(y);
    return sign * order || a.task - b.task;
  });
}
