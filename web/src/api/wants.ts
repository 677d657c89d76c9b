import type { JobState } from './client';

/** What somebody on the page wants to hear of. */
export interface Want {
  jobs?: string[];
  grid?: boolean;
  list?: boolean;
}

const mostJobs = 200; // the API takes no more

/** Whether a job's state is one that a stream has nothing to add to. */
export function final(state?: string): boolean {
  return state === 'done' || state === 'failed' || state === 'cancelled';
}

/** Whether a job has ended without a result. Of such a one the grid keeps no list of tasks. */
export function broken(state: JobState): boolean {
  return state === 'failed' || state === 'cancelled';
}

/** All wants as the query of one stream, with the jobs that are worth it; empty when nobody wants anything. */
export function queryOf(wants: Iterable<Want>, worth: (id: string) => boolean = () => true): string {
  const jobs = new Set<string>();
  let grid = false;
  let list = false;
  for (const want of wants) {
    for (const id of want.jobs ?? []) if (worth(id)) jobs.add(id);
    grid ||= want.grid ?? false;
    list ||= want.list ?? false;
  }
  const query = new URLSearchParams();
  for (const id of [...jobs].slice(0, mostJobs).sort()) query.append('job', id);
  if (grid) query.set('grid', 'true');
  if (list) query.set('list', 'true');
  return query.toString();
}

/** Milliseconds until the next try after so many failures in a row: a second, doubling up to half a minute. */
export function backoff(failures: number): number {
  return Math.min(30_000, 1000 * 2 ** Math.max(0, failures - 1));
}
