import { api, asError, take, type ApiError, type Job, type JobState } from '../api/client';

export interface Filter {
  state?: JobState;
  q?: string;
}

const pageSize = 30;

/** Jobs that fit a filter, the newest first, as far as they were asked for. */
export class JobList {
  rows = $state.raw<Job[]>();
  next = $state<string>();
  error = $state.raw<ApiError>();
  loading = $state(false);
  private latest = 0;

  constructor(private filter: Filter) {}

  /** The first page, or what is new on it. */
  refresh = (): Promise<void> =>
    this.fetch(undefined, (page, next) => {
      if (!this.rows || next === undefined) this.next = next;
      this.rows = mergeFirst(this.rows ?? [], page, next !== undefined);
      if (this.rows.length <= page.length) this.next = next;
    });

  more = (): Promise<void> =>
    this.fetch(this.next, (page, next) => {
      const known = new Set(this.rows?.map(({ id }) => id));
      this.rows = [...(this.rows ?? []), ...page.filter(({ id }) => !known.has(id))];
      this.next = next;
    });

  private async fetch(cursor: string | undefined, then: (page: Job[], next?: string) => void): Promise<void> {
    const mine = ++this.latest;
    this.loading = true;
    try {
      const query = { ...this.filter, cursor, limit: pageSize };
      const { jobs, next } = await take(api.GET('/jobs', { params: { query } }));
      if (mine !== this.latest) return;
      then(jobs, next);
      this.error = undefined;
    } catch (cause) {
      if (mine === this.latest) this.error = asError(cause);
    } finally {
      if (mine === this.latest) this.loading = false;
    }
  }

  put(job: Job): void {
    this.rows = this.rows?.map((row) => (row.id === job.id ? job : row));
  }
}

/** A first page that was fetched again, and behind it what had been fetched of older ones. Ids grow with time. */
export function mergeFirst<T extends { id: string }>(rows: T[], first: T[], more: boolean): T[] {
  const last = first.at(-1);
  if (!more || !last) return first;
  return [...first, ...rows.filter(({ id }) => id < last.id)];
}
