import { SvelteMap } from 'svelte/reactivity';
import { api, ApiError, base, take, type Grid, type Job, type List } from './client';
import { backoff, final, queryOf, type Want } from './wants';

const hiddenFor = 20_000; // a hidden page lets its connection go: browsers allow few to one server
const pollEvery = 5000;
const patience = 4000; // a stream that is back before that was hardly away

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
  private gone = new Set<string>(); // jobs that are not there: one of them would end the whole stream
  private failures = 0;
  private doubt: ReturnType<typeof setTimeout> | undefined;
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
    if (!this.wanted(job.id)) return;
    this.jobs.set(job.id, job);
    this.soon();
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
      const query = queryOf(this.wants, (id) => !this.gone.has(id) && !final(this.jobs.get(id)?.state));
      if (query !== this.query || (query !== '' && !this.source && !this.retry)) this.open(query);
    });
  }

  private open(query: string): void {
    this.query = query;
    this.close();
    if (query === '') return;
    const source = new EventSource(`${base}/events?${query}`);
    this.source = source;
    source.onopen = () => {
      this.failures = 0;
      this.believe();
    };
    source.onerror = () => this.failed(source);
    source.addEventListener('job', (event: MessageEvent<string>) => {
      this.put(JSON.parse(event.data) as Job);
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
    if (this.query === '') this.believe();
  }

  /** The browser tries again by itself, with the id of the last event, unless it was told off. */
  private failed(source: EventSource): void {
    this.failures++;
    this.doubt ??= setTimeout(() => (this.stale = true), patience);
    if (source.readyState !== EventSource.CLOSED) return;
    this.close();
    this.retry = setTimeout(() => this.open(this.query), Math.max(pollEvery, backoff(this.failures)));
    void this.poll();
  }

  private believe(): void {
    clearTimeout(this.doubt);
    this.doubt = undefined;
    this.stale = false;
  }

  private async poll(): Promise<void> {
    const query = new URLSearchParams(this.query);
    const jobs = query.getAll('job').slice(0, 20); // a page that cannot stream must not become a flood
    try {
      await Promise.all([
        ...jobs.map((id) => this.pollJob(id)),
        query.has('grid') && take(api.GET('/grid')).then((grid) => (this.grid = grid)),
      ]);
      this.believe();
    } catch {
      // The doubt goes on.
    }
  }

  private async pollJob(id: string): Promise<void> {
    try {
      this.put(await take(api.GET('/jobs/{id}', { params: { path: { id } } })));
    } catch (cause) {
      if (!(cause instanceof ApiError && cause.status === 404)) throw cause;
      this.gone.add(id);
      this.soon();
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
