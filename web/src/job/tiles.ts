import type { Tiles } from '../api/client';

export type TileState = 'done' | 'computing' | 'voting' | 'failed' | 'partly' | 'queued';

export interface Tile {
  /** First task, and how many there are. */
  first: number;
  tasks: number;
  done: number;
  lent: number;
  voting: number;
  failed: number;
}

/** The i-th tile; the last one may have fewer tasks than the others. */
export function tileAt(tiles: Tiles, i: number, total: number): Tile {
  const first = i * tiles.size;
  return {
    first,
    tasks: Math.min(tiles.size, total - first),
    done: tiles.done[i] ?? 0,
    lent: tiles.lent[i] ?? 0,
    voting: tiles.voting[i] ?? 0,
    failed: tiles.failed[i] ?? 0,
  };
}

/** What is most worth seeing about a tile. */
export function stateOf(tile: Tile): TileState {
  if (tile.done >= tile.tasks) return 'done';
  if (tile.lent > 0) return 'computing';
  if (tile.failed > 0) return 'failed';
  if (tile.voting > 0) return 'voting';
  return tile.done > 0 ? 'partly' : 'queued';
}

const words: Record<TileState, string> = {
  done: 'validated',
  computing: 'computing',
  voting: 'waits for votes',
  failed: 'failed somewhere, to be tried again',
  partly: 'partly validated',
  queued: 'queued',
};

export function describe(tile: Tile): string {
  if (tile.tasks === 1) return `Task ${tile.first}: ${words[stateOf(tile)]}`;
  const parts = [`${tile.done} of ${tile.tasks} validated`];
  if (tile.lent) parts.push(`${tile.lent} computing`);
  if (tile.voting) parts.push(`${tile.voting} waiting for votes`);
  if (tile.failed) parts.push(`${tile.failed} failed somewhere`);
  return `Tasks ${tile.first} to ${tile.first + tile.tasks - 1}: ${parts.join(', ')}`;
}

export interface Layout {
  columns: number;
  rows: number;
  cell: number;
}

/** Square cells that fill a width, no higher than they must be and neither tiny nor huge. */
export function layout(count: number, width: number): Layout {
  const most = 30;
  const least = width < 500 ? 9 : 13;
  const ideal = Math.sqrt((width * 260) / Math.max(1, count));
  const cell = Math.max(least, Math.min(most, Math.floor(ideal)));
  const columns = Math.max(1, Math.floor(width / cell));
  return { columns, rows: Math.ceil(count / columns), cell };
}

/** Where an arrow key leads; undefined for another key. */
export function moved(at: number, key: string, count: number, columns: number): number | undefined {
  const steps: Record<string, number> = {
    ArrowLeft: -1,
    ArrowRight: 1,
    ArrowUp: -columns,
    ArrowDown: columns,
    Home: -at,
    End: count - 1 - at,
    PageUp: -5 * columns,
    PageDown: 5 * columns,
  };
  const step = steps[key];
  return step === undefined ? undefined : Math.max(0, Math.min(count - 1, at + step));
}
