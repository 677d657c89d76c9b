import type { Tiles } from '../api/client';
import { stateOf, tileAt, type Layout, type Tile } from './tiles';

export interface Scene {
  tiles: Tiles;
  total: number;
  layout: Layout;
  /** The tile that is looked at. */
  current?: number;
}

/** Colours as the page has them now. */
function palette(element: Element): (name: string) => string {
  const style = getComputedStyle(element);
  return (name) => style.getPropertyValue(`--map-${name}`).trim() || 'gray';
}

/** Paints all tiles: what is done fills from below, and each state has a mark besides its colour. */
export function paint(canvas: HTMLCanvasElement, scene: Scene): void {
  const context = canvas.getContext('2d');
  if (!context) return;
  const { columns, rows, cell } = scene.layout;
  const scale = globalThis.devicePixelRatio || 1;
  canvas.width = Math.round(columns * cell * scale);
  canvas.height = Math.round(rows * cell * scale);
  context.scale(scale, scale);
  const colour = palette(canvas);
  const gap = cell > 8 ? 2 : 1;
  for (let i = 0; i < scene.tiles.done.length; i++) {
    const x = (i % columns) * cell;
    const y = Math.floor(i / columns) * cell;
    paintTile(context, tileAt(scene.tiles, i, scene.total), { x, y, side: cell - gap }, colour);
    if (i !== scene.current) continue;
    context.strokeStyle = colour('ink');
    context.lineWidth = 2;
    context.strokeRect(x, y, cell - gap, cell - gap);
  }
}

interface Square {
  x: number;
  y: number;
  side: number;
}

function paintTile(
  context: CanvasRenderingContext2D,
  tile: Tile,
  at: Square,
  colour: (name: string) => string,
): void {
  const { x, y, side } = at;
  const state = stateOf(tile);
  context.fillStyle = colour(state === 'partly' || state === 'done' ? 'queued' : state + '-soft');
  context.fillRect(x, y, side, side);
  const filled = (side * tile.done) / tile.tasks;
  context.fillStyle = colour('done');
  context.fillRect(x, y + side - filled, side, filled);
  mark(context, state, at, colour);
}

/** Stripe: computing. Dot: votes. Cross: failed somewhere. Done is plain and full, queued plain and empty. */
function mark(
  context: CanvasRenderingContext2D,
  state: string,
  at: Square,
  colour: (name: string) => string,
): void {
  const { x, y, side } = at;
  const inset = side * 0.22;
  context.strokeStyle = context.fillStyle = colour(state);
  context.lineWidth = Math.max(1.5, side / 7);
  context.beginPath();
  if (state === 'computing' || state === 'failed') {
    context.moveTo(x + inset, y + side - inset);
    context.lineTo(x + side - inset, y + inset);
  }
  if (state === 'failed') {
    context.moveTo(x + inset, y + inset);
    context.lineTo(x + side - inset, y + side - inset);
  }
  context.stroke();
  if (state !== 'voting') return;
  context.arc(x + side / 2, y + side / 2, side / 5, 0, 7);
  context.fill();
}
