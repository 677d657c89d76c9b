import type { News, Totals } from '../agent/protocol';
import { duration } from '../words';

/** A line of the log. */
export interface Line {
  id: number;
  /** Milliseconds since 1970. */
  at: number;
  text: string;
  bad: boolean;
}

/** A finished task. */
export interface Tile {
  job: string;
  ms: number;
}

/** What was contributed to one job. */
export interface Share {
  job: string;
  title: string;
  tasks: number;
  ms: number;
}

const longestLog = 200;
export const mostTiles = 4000;
const rateOver = 120_000;

/** What this tab has done so far: a log, the tiles of the picture, and sums by job. */
export class Contribution {
  log: Line[] = [];
  /** The latest ones, the oldest first. */
  tiles: Tile[] = [];
  /** All tiles there ever were, of which only the latest are kept. */
  count = 0;
  shares = new Map<string, Share>();
  private lines = 0;
  private recent: number[] = [];

  note(at: number, text: string, bad = false): void {
    this.log = [...this.log.slice(1 - longestLog), { id: ++this.lines, at, text, bad }];
  }

  take(news: News[], at: number): void {
    for (const item of news) {
      const { text, bad } = tell(item);
      this.note(at, text, bad);
      if (item.event === 'computed' && item.job) this.computed(item.job, item.title ?? '', item.ms ?? 0, at);
    }
  }

  /** Tasks a minute, over the last two minutes or since the start if that is later. */
  rate(now: number, started: number): number {
    const from = Math.max(started, now - rateOver);
    const minutes = Math.max(10_000, now - from) / 60_000;
    return this.recent.filter((at) => at >= from).length / minutes;
  }

  private computed(job: string, title: string, ms: number, at: number): void {
    this.count++;
    this.tiles.push({ job, ms });
    // A tenth at once, so that the picture is seldom laid out anew.
    if (this.tiles.length > mostTiles) this.tiles.splice(0, mostTiles / 10);
    this.recent.push(at);
    if ((this.recent[0] ?? at) < at - 2 * rateOver)
      this.recent = this.recent.filter((t) => t >= at - rateOver);
    const share = this.shares.get(job) ?? { job, title, tasks: 0, ms: 0 };
    share.title = title || share.title;
    share.tasks++;
    share.ms += ms;
    this.shares.set(job, share);
  }
}

function tell(news: News): { text: string; bad: boolean } {
  const title = news.title ? ` of “${news.title}”` : '';
  const task = news.task === undefined ? 'A task' : `Task ${news.task}`;
  const why = news.reason ? `: ${news.reason}` : '';
  switch (news.event) {
    case 'connected':
      return { text: 'Connected to the grid', bad: false };
    case 'disconnected':
      return { text: `The connection broke${why}`, bad: true };
    case 'loading':
      return { text: `Fetching the program of “${news.title || 'a job'}”`, bad: false };
    case 'missing':
      return { text: `${task}${title} went back, because what it needs is missing${why}`, bad: true };
    case 'computed':
      return { text: `${task}${title} computed in ${duration((news.ms ?? 0) / 1000)}`, bad: false };
    case 'failed':
      return { text: `${task}${title} failed${why}`, bad: true };
    case 'rejected':
      return { text: `${task}${title} does not count${why}`, bad: true };
    case 'trouble':
      return { text: `This machine has trouble${why}`, bad: true };
    case 'idle':
      return { text: `No work${why}`, bad: false };
  }
}

export const nothing: Totals = { computed: 0, failed: 0, accepted: 0, pending: 0, late: 0, rejected: 0 };

export function sum(a: Totals, b: Totals): Totals {
  return {
    computed: a.computed + b.computed,
    failed: a.failed + b.failed,
    accepted: a.accepted + b.accepted,
    pending: a.pending + b.pending,
    late: a.late + b.late,
    rejected: a.rejected + b.rejected,
  };
}
