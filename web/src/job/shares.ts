import { called } from '../alias';
import type { Job } from '../api/client';

export type ShareName = 'done' | 'computing' | 'voting' | 'queued';

export interface Share {
  name: ShareName;
  word: string;
  tasks: number;
}

/**
 * Every task of a job once: what is done, being computed, waiting for votes, queued. The grid counts
 * copies that are computed; a task can have several, and one that waits for votes can have some as well.
 * Once a job is over without a result there is only done and not done.
 */
export function sharesOf({ total, done, lent, voting }: Job['tasks'], over = false): Share[] {
  if (over) {
    return [
      { name: 'done', word: 'Validated', tasks: done },
      { name: 'queued', word: 'Not done', tasks: total - done },
    ];
  }
  const votes = Math.min(voting, total - done);
  const computing = Math.min(lent, total - done - votes);
  return [
    { name: 'done', word: 'Validated', tasks: done },
    { name: 'computing', word: 'Computing', tasks: computing },
    { name: 'voting', word: 'Waiting for votes', tasks: votes },
    { name: 'queued', word: 'Queued', tasks: total - done - votes - computing },
  ];
}

export interface Contribution {
  id: string;
  name: string;
  tasks: number;
  seconds: number;
}

interface Counted {
  volunteers: { id: string; name?: string; ms: number }[];
}

/** Who computed how much, the most first. A task that several computed counts for each. */
export function contributions(tasks: Iterable<Counted>): Contribution[] {
  const by = new Map<string, Contribution>();
  for (const { volunteers } of tasks) {
    for (const { id, name, ms } of volunteers) {
      const sum = by.get(id) ?? { id, name: called(name, id), tasks: 0, seconds: 0 };
      sum.tasks++;
      sum.seconds += ms / 1000;
      by.set(id, sum);
    }
  }
  return [...by.values()].sort((a, b) => b.tasks - a.tasks || b.seconds - a.seconds);
}
