import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { api, type Job } from './client';
import { Live } from './live.svelte';

/** A stream that the test speaks on. */
class FakeSource {
  static readonly CLOSED = 2;
  static all: FakeSource[] = [];
  readyState = 1;
  onopen?: () => void;
  onerror?: () => void;
  private heard = new Map<string, (event: { data: string }) => void>();

  constructor(readonly url: string) {
    FakeSource.all.push(this);
  }

  addEventListener(name: string, hear: (event: { data: string }) => void) {
    this.heard.set(name, hear);
  }

  close() {
    this.readyState = FakeSource.CLOSED;
  }

  say(name: string, data: unknown) {
    this.heard.get(name)?.({ data: JSON.stringify(data) });
  }
}

const job = (id: string, state: Job['state'] = 'running') => ({ id, state }) as Job;
const open = () => FakeSource.all.filter(({ readyState }) => readyState !== FakeSource.CLOSED);

beforeEach(() => {
  FakeSource.all = [];
  vi.useFakeTimers();
  vi.stubGlobal('EventSource', FakeSource);
});

afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
});

const settled = () => vi.advanceTimersByTimeAsync(0);

it('is one stream for all who watch, and none for nobody', async () => {
  const live = new Live();
  const ends = [live.watch({ jobs: ['a'] }), live.watch({ grid: true }), live.watch({ jobs: ['a', 'b'] })];
  await settled();
  expect(open().map(({ url }) => url)).toEqual(['/api/v1/events?job=a&job=b&grid=true']);
  ends.forEach((end) => end());
  await settled();
  expect(open()).toEqual([]);
});

it('keeps the last that was said of each job', async () => {
  const live = new Live();
  live.watch({ jobs: ['a', 'b'] });
  await settled();
  open()[0]!.say('job', job('a'));
  open()[0]!.say('job', { ...job('a'), title: 'later' });
  open()[0]!.say('job', job('stranger'));
  expect(live.jobs.get('a')?.title).toBe('later');
  expect(live.jobs.has('stranger')).toBe(false);
});

it('asks no more about a job that has ended, until it runs again', async () => {
  const live = new Live();
  live.watch({ jobs: ['a'], list: true });
  await settled();
  open()[0]!.say('job', job('a', 'failed'));
  await settled();
  expect(open().map(({ url }) => url)).toEqual(['/api/v1/events?list=true']);
  expect(live.jobs.get('a')?.state).toBe('failed');
  live.put(job('a'));
  await settled();
  expect(open()[0]!.url).toContain('job=a');
});

it('is stale only when the stream stays away', async () => {
  const live = new Live();
  live.watch({ grid: true });
  await settled();
  open()[0]!.onerror?.();
  await vi.advanceTimersByTimeAsync(1000);
  expect(live.stale).toBe(false);
  await vi.advanceTimersByTimeAsync(5000);
  expect(live.stale).toBe(true);
  open()[0]!.onopen?.();
  expect(live.stale).toBe(false);
});

it('asks now and then when it is told off, and forgets jobs that are not there', async () => {
  const problem = { type: 'about:blank', title: 'Not Found', status: 404, request_id: 'r' };
  vi.spyOn(api, 'GET').mockImplementation(() =>
    Promise.resolve({ error: problem, response: new Response(null, { status: 404 }) } as never),
  );
  const live = new Live();
  live.watch({ jobs: ['gone'], list: true });
  await settled();
  const source = open()[0]!;
  source.close();
  source.onerror?.();
  await vi.advanceTimersByTimeAsync(6000);
  expect(open().map(({ url }) => url)).toEqual(['/api/v1/events?list=true']);
});
