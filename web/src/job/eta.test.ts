import { describe, expect, it } from 'vitest';
import { estimate, note, type Point } from './eta';

/** A task so many milliseconds, noted every second. */
function steady(seconds: number, each: number): Point[] {
  let points: Point[] = [];
  for (let s = 0; s <= seconds; s++)
    points = note(points, { at: s * 1000, done: Math.floor((s * 1000) / each) });
  return points;
}

describe('estimate', () => {
  it('is a range around the truth', () => {
    const { rate, soonest, latest } = estimate(steady(30, 500), 100)!;
    expect(rate).toBeCloseTo(2, 1);
    expect(soonest).toBeLessThan(20);
    expect(latest).toBeGreaterThan(20);
    expect(latest).toBeLessThan(30);
  });

  it('says nothing before 5 %, nor at the end, nor without movement', () => {
    expect(estimate(steady(30, 500), 10_000)).toBeUndefined();
    expect(estimate(steady(30, 500), 60)).toBeUndefined();
    expect(estimate([{ at: 0, done: 10 }, { at: 60_000, done: 10 }], 100)).toBeUndefined(); // prettier-ignore
    expect(estimate([], 100)).toBeUndefined();
  });

  it('is wider when the speed changed', () => {
    const slow = steady(60, 1000);
    const at = slow.at(-1)!;
    const points = note(slow, { at: at.at + 10_000, done: at.done + 100 });
    const { soonest, latest } = estimate(points, 1000)!;
    expect(latest / soonest).toBeGreaterThan(2);
  });

  it('counts the time before the page was opened', () => {
    const points = [{ at: 100_000, done: 50 }];
    expect(estimate(points, 100)).toBeUndefined();
    expect(estimate(points, 100, 0)?.rate).toBeCloseTo(0.5);
  });
});

describe('note', () => {
  it('forgets what is old', () => {
    expect(steady(300, 1000)[0]!.at).toBe(180_000);
  });

  it('begins anew when results were taken back', () => {
    expect(note(steady(10, 1000), { at: 11_000, done: 3 })).toEqual([{ at: 11_000, done: 3 }]);
  });
});
