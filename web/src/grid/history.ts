import type { Grid, Sample } from '../api/client';

const kept = 600; // seconds, as on the server

/** Adds what the grid says now to its history, at most once a second. */
export function extend(history: Sample[], grid: Grid, now: number): Sample[] {
  const last = history.at(-1);
  if (last && now - Date.parse(last.at) < 900) return history;
  const { workers, slots, tasks_per_second, waiting, lent } = grid;
  const sample = { at: new Date(now).toISOString(), workers, slots, tasks_per_second, waiting, lent };
  return [...history.filter(({ at }) => now - Date.parse(at) < kept * 1000), sample];
}

export interface View {
  id: string;
  name: string;
  series: { name: string; of: (sample: Sample) => number; tone: 'done' | 'computing' | 'voting' | 'edge' }[];
}

export const views: View[] = [
  {
    id: 'rate',
    name: 'Tasks a second',
    series: [{ name: 'Validated tasks a second', of: (s) => s.tasks_per_second, tone: 'done' }],
  },
  {
    id: 'cores',
    name: 'Cores',
    series: [
      { name: 'Cores connected', of: (s) => s.slots, tone: 'voting' },
      { name: 'Tasks being computed', of: (s) => s.lent, tone: 'computing' },
    ],
  },
  {
    id: 'waiting',
    name: 'Waiting',
    series: [{ name: 'Tasks that could be lent', of: (s) => s.waiting, tone: 'edge' }],
  },
];

/** The history as uPlot takes it: times in seconds, then one array a series. */
export function columns(history: Sample[], view: View): [number[], ...number[][]] {
  return [history.map(({ at }) => Date.parse(at) / 1000), ...view.series.map(({ of }) => history.map(of))];
}

export interface Minute {
  /** Minutes ago; 0 is the last one. */
  ago: number;
  /** Means over the minute. */
  values: number[];
}

/** The history by the minute, the latest first: what the table says that stands for the chart. */
export function minutes(history: Sample[], view: View, now: number): Minute[] {
  const byMinute = new Map<number, Sample[]>();
  for (const sample of history) {
    const ago = Math.max(0, Math.floor((now - Date.parse(sample.at)) / 60_000));
    byMinute.set(ago, [...(byMinute.get(ago) ?? []), sample]);
  }
  return [...byMinute]
    .sort(([a], [b]) => a - b)
    .map(([ago, samples]) => ({
      ago,
      values: view.series.map(
        ({ of }) => samples.reduce((sum, sample) => sum + of(sample), 0) / samples.length,
      ),
    }));
}
