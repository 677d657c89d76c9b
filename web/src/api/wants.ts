/** What somebody on the page wants to hear of. */
export interface Want {
  jobs?: string[];
  grid?: boolean;
  list?: boolean;
}

const mostJobs = 200; // the API takes no more

/** All wants as the query of one stream; empty when nobody wants anything. */
export function queryOf(wants: Iterable<Want>): string {
  const jobs = new Set<string>();
  let grid = false;
  let list = false;
  for (const want of wants) {
    for (const id of want.jobs ?? []) jobs.add(id);
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
