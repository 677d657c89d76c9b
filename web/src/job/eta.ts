// How fast a job goes and when it may end. Never a single moment: a range, and only once there is enough to go by.

export interface Point {
  /** Milliseconds. */
  at: number;
  done: number;
}

export interface Estimate {
  /** Tasks a second, lately. */
  rate: number;
  /** Seconds until the end: at best and at worst. */
  soonest: number;
  latest: number;
}

const memory = 120_000; // what is older says little about now
const recent = 20_000;
/** Share of the tasks that must be done before anything is said. */
export const enough = 0.05;

/** Notes how many tasks were done at a moment, and forgets what is too old. */
export function note(points: Point[], point: Point): Point[] {
  const last = points.at(-1);
  // Fewer than before: results were taken back, or it is another run.
  if (last && point.done < last.done) return [point];
  return [...points.filter(({ at }) => point.at - at <= memory), point];
}

/**
 * What the points say about the rest. `begun` is when the job did: its mean speed since then
 * counts as well, unless it was paused on the way.
 */
export function estimate(points: Point[], total: number, begun?: number): Estimate | undefined {
  const last = points.at(-1);
  if (!last || total <= 0 || last.done / total < enough || last.done >= total) return undefined;
  const rates = [rateSince(points, last.at - recent), rateSince(points, -Infinity)];
  if (begun !== undefined && last.at > begun) rates.push((1000 * last.done) / (last.at - begun));
  const known = rates.filter((rate) => rate > 0);
  if (known.length === 0) return undefined;
  const left = total - last.done;
  return {
    rate: known[0]!,
    soonest: (0.9 * left) / Math.max(...known),
    latest: (1.25 * left) / Math.min(...known),
  };
}

/** Tasks a second over the points from a moment on; 0 if they are too few or too close. */
function rateSince(points: Point[], from: number): number {
  const last = points.at(-1);
  const first = points.find(({ at }) => at >= from);
  if (!last || !first || last.at - first.at < 2000) return 0;
  return (1000 * (last.done - first.done)) / (last.at - first.at);
}
