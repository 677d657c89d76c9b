import { describe as group, expect, it } from 'vitest';
import { describe, layout, moved, stateOf, tileAt } from './tiles';

const tiles = { size: 4, done: [4, 1, 0], lent: [0, 2, 0], voting: [0, 0, 1], failed: [0, 1, 0] };

it('knows the tasks of a tile, also of the last one', () => {
  expect(tileAt(tiles, 1, 10)).toMatchObject({ first: 4, tasks: 4, done: 1, lent: 2 });
  expect(tileAt(tiles, 2, 10)).toMatchObject({ first: 8, tasks: 2 });
});

it('shows what is most worth seeing', () => {
  const states = [0, 1, 2].map((i) => stateOf(tileAt(tiles, i, 10)));
  expect(states).toEqual(['done', 'computing', 'voting']);
  const tile = { first: 0, tasks: 2, done: 1, lent: 0, voting: 0, failed: 0 };
  expect(stateOf(tile)).toBe('partly');
  expect(stateOf({ ...tile, failed: 1 })).toBe('failed');
  expect(stateOf({ ...tile, done: 0 })).toBe('queued');
});

it('says it in words', () => {
  expect(describe(tileAt(tiles, 1, 10))).toBe(
    'Tasks 4 to 7: 1 of 4 validated, 2 computing, 1 failed somewhere',
  );
  expect(describe({ first: 7, tasks: 1, done: 0, lent: 0, voting: 1, failed: 0 })).toBe(
    'Task 7: waits for votes',
  );
});

group('layout', () => {
  it.each([[1, 300], [64, 340], [1000, 340], [1024, 1000]])('%i tiles fit in %i pixels', (count, width) => {
    const { columns, rows, cell } = layout(count, width);
    expect(columns * cell).toBeLessThanOrEqual(width);
    expect(columns * rows).toBeGreaterThanOrEqual(count);
    expect(rows * cell).toBeLessThan(420);
  }); // prettier-ignore
});

it('moves with the arrow keys and stays inside', () => {
  expect(moved(5, 'ArrowLeft', 20, 8)).toBe(4);
  expect(moved(5, 'ArrowUp', 20, 8)).toBe(0);
  expect(moved(5, 'ArrowDown', 20, 8)).toBe(13);
  expect(moved(5, 'End', 20, 8)).toBe(19);
  expect(moved(5, 'Home', 20, 8)).toBe(0);
  expect(moved(5, 'x', 20, 8)).toBeUndefined();
});
