import { describe, expect, it } from 'vitest';
import type { Grid } from '../api/client';
import { alias, called } from '../alias';
import { columns, extend, minutes, views, type View } from './history';
import { next, sorted, type Worker } from './workers';

const grid: Grid = { workers: 1, slots: 2, volunteers: 1, jobs: 1, waiting: 5, lent: 2, tasks_per_second: 3 };
const rate = views[0] as View;

describe('history', () => {
  it('takes one sample a second and keeps ten minutes', () => {
    let history = extend([], grid, 0);
    history = extend(history, grid, 500);
    expect(history).toHaveLength(1);
    for (let s = 1; s <= 700; s++) history = extend(history, grid, s * 1000);
    expect(history).toHaveLength(600);
  });

  it('becomes columns for the chart and means for the table', () => {
    const history = [0, 1000, 61_000].reduce(
      (past, at, i) => extend(past, { ...grid, tasks_per_second: i * 2 }, at),
      [] as ReturnType<typeof extend>,
    );
    expect(columns(history, rate)).toEqual([
      [0, 1, 61],
      [0, 2, 4],
    ]);
    expect(minutes(history, rate, 62_000)).toEqual([
      { ago: 0, values: [4] },
      { ago: 1, values: [1] },
    ]);
  });
});

describe('workers', () => {
  const worker = (id: string, name: string, slots: number): Worker => ({
    id, name, slots, volunteer: '', engine: '', platform: '', since: '2026-01-01T00:00:00Z', leases: 0,
  }); // prettier-ignore
  const all = [worker('1', 'b10', 4), worker('2', 'B9', 8), worker('3', 'a', 4)];

  it('are sorted by numbers and by names, as people count', () => {
    expect(sorted(all, { by: 'slots', down: true }).map(({ id }) => id)).toEqual(['2', '1', '3']);
    expect(sorted(all, { by: 'name', down: false }).map(({ id }) => id)).toEqual(['3', '2', '1']);
  });

  it('turn round on a second click', () => {
    expect(next({ by: 'name', down: false }, 'slots')).toEqual({ by: 'slots', down: true });
    expect(next({ by: 'slots', down: true }, 'slots')).toEqual({ by: 'slots', down: false });
  });
});

describe('alias', () => {
  it('is always the same, and gives way to a name', () => {
    expect(alias('00000000aaaaaaaa')).toBe('Calm Radish');
    expect(alias('ffffffffaaaaaaaa')).toBe('Keen Pickle');
    expect(called(' ', '00000000aaaaaaaa')).toBe('Calm Radish');
    expect(called('Ada', '00')).toBe('Ada');
    expect(alias('')).toBe('Somebody');
  });
});
