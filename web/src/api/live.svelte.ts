import { SvelteMap } from 'svelte/reactivity';
import { api, base, take, type Grid, type Job, type List } from './client';
import { backoff, queryOf, type Want } from './wants';

const hiddenFor = 20_000; // a hidden page lets its connection go: browsers allow few to one server
const pollEvery = 5000;

/**
 * What goes on, as it goes on: one stream for the whole page, shared by whoever watches.
 * While the stream is away it asks now and then; if that fails too, what is shown is stale.
 */
export class Live {
  jobs = new SvelteMap<string, Job>();
  grid = $state.raw<Grid>();
  list = $state.raw<List>();
  /** Whether the data may be out of date, because the grid does not answer. */
  stale = $state(false);

  private wants = new Set<Want>();
  private source: EventSource | undefined;
  private query = '';
  private failures = 0;
  private retry: ReturnType<typeof setTimeout> | undefined;
  private hide: ReturnType<typeof setTimeout> | undefined;
  private queued = false;

  constructor() {
    globalThis.document?.addEventListener('visibilitychange', () => this.visibility());
  }

  /** Starts watching; what it returns ends that. Fits in an $effect. */
  watch(want: Want): () => void {
    this.wants.add(want);
    this.soon();
    return () => {
      this.wants.delete(want);
      for (const id of want.jobs ?? []) if (!this.wanted(id)) this.jobs.delete(id);
      this.soon();
    };
  }

  /** Takes in a job that was heard of in another way, such as the answer to an action. */
  put(job: Job): void {
    if (this.wanted(job.id)) this.jobs.set(job.id, job);
  }

  private wanted(id: string): boolean {
    for (const want of this.wants) if (want.jobs?.includes(id)) return true;
    return false;
  }

  /** Several wants that change together open one stream. */
  private soon(): void {
    if (this.queued) return;
    this.queued = true;
    queueMicrotask(() => {
      this.queued = false;
      const query = queryOf(this.wants);
      if (query !== this.query || (query !== '' && !this.source && !this.retry)) this.open(query);
    });
  }

  private open(query: string): void {
    this.close();
    this.query = query;
    if (query === '') return;
    const source = new EventSource(`${base}/events?${query}`);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.stale = false;
    };
    source.onerror = () => this.failed(source);
    source.addEventListener('job', (event: MessageEvent<string>) => {
      const job = JSON.parse(event.data) as Job;
      this.jobs.set(job.id, job);
    });
    source.addEventListener('grid', (event: MessageEvent<string>) => {
      this.grid = JSON.parse(event.data) as Grid;
    });
    source.addEventListener('list', (event: MessageEvent<string>) => {
      this.list = JSON.parse(event.data) as List;
    });
  }

  private close(): void {
    this.source?.close();
    this.source = undefined;
    clearTimeout(this.retry);
    this.retry = undefined;
  }

  /** The browser tries again by itself, with the id of the last event, unless it was told off. */
  private failed(source: EventSource): void {
    this.failures++;
    if (source.readyState !== EventSource.CLOSED) {
      this.stale = true;
      return;
    }
    this.close();
    this.retry = setTimeout(() => this.open(this.query), Math.max(pollEvery, backoff(this.failures)));
    void this.poll();
  }

  private async poll(): Promise<void> {
    const query = new URLSearchParams(this.query);
    const jobs = query.getAll('job').slice(0, 20); // a page that cannot stream must not become a flood
    try {
      await Promise.all([
        ...jobs.map(async (id) => this.put(await take(api.GET('/jobs/{id}', { params: { path: { id } } })))),
        query.has('grid') && take(api.GET('/grid')).then((grid) => (this.grid = grid)),
      ]);
      this.stale = false;
    } catch {
      this.stale = true;
    }
  }

  private visibility(): void {
    clearTimeout(this.hide);
    if (document.hidden) {
      this.hide = setTimeout(() => this.close(), hiddenFor);
    } else if (!this.source && this.query !== '') {
      this.open(this.query);
    }
  }
}

export const live = new Live();
