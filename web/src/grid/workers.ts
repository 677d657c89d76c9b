import type { components } from '../api/schema.gen';
import { called } from '../alias';

export type Worker = components['schemas']['Worker'];
export type Column = 'name' | 'engine' | 'platform' | 'slots' | 'since' | 'leases';

export interface Order {
  by: Column;
  down: boolean;
}

/** The order after a click on a column's head: numbers begin with the largest, words with the first. */
export function next(order: Order, by: Column): Order {
  if (order.by === by) return { by, down: !order.down };
  return { by, down: by === 'slots' || by === 'leases' };
}

export function sorted(workers: Worker[], { by, down }: Order): Worker[] {
  const sign = down ? -1 : 1;
  return workers.toSorted((a, b) => sign * compare(a, b, by) || a.id.localeCompare(b.id));
}

function compare(a: Worker, b: Worker, by: Column): number {
  switch (by) {
    case 'slots':
    case 'leases':
      return a[by] - b[by];
    case 'since':
      return Date.parse(a.since) - Date.parse(b.since);
    case 'name':
      return called(a.name, a.volunteer).localeCompare(called(b.name, b.volunteer), undefined, {
        sensitivity: 'base',
        numeric: true,
      });
    case 'engine':
    case 'platform':
      return a[by].localeCompare(b[by]);
  }
}
