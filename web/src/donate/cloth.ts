/** Where the tiles of the tablecloth lie: it grows from the middle of the table outwards. */
export interface Layout {
  /** From one tile to the next, in pixels. */
  pitch: number;
  columns: number;
  rows: number;
  /** Cells in the order in which they are laid: row × columns + column. */
  order: Uint32Array;
}

const pitches = [34, 26, 20, 15, 12, 9, 7, 6, 5, 4];
/** Below this side a motif would be noise. */
export const leastMotif = 9;
export const colours = 6;

/** The largest tiles of which so many fit; if even the smallest do not, as many of them as do. */
export function layout(width: number, height: number, tiles: number): Layout {
  let columns = 0;
  let rows = 0;
  let pitch = 0;
  for (pitch of pitches) {
    columns = Math.max(1, Math.floor(width / pitch));
    rows = Math.max(1, Math.floor(height / pitch));
    if (columns * rows >= tiles) break;
  }
  return { pitch, columns, rows, order: spiral(columns, rows) };
}

/** Cells by their distance from the middle, those at one distance clockwise. */
function spiral(columns: number, rows: number): Uint32Array {
  const key = new Float64Array(columns * rows);
  for (let cell = 0; cell < key.length; cell++) {
    const x = (2 * (cell % columns) + 1) / columns - 1;
    const y = (2 * Math.floor(cell / columns) + 1) / rows - 1;
    const ring = Math.max(Math.abs(x), Math.abs(y)) * 0.55 + Math.hypot(x, y) * 0.45;
    key[cell] = Math.round(ring * 24) * 10 + Math.atan2(y, x);
  }
  return Uint32Array.from(key.keys()).sort((a, b) => (key[a] ?? 0) - (key[b] ?? 0));
}

/** How strong the colour of a task of so long is, from 0 to 1: each tenfold time is a step of the same size. */
export function strength(ms: number): number {
  const shortest = 10;
  const longest = 60_000;
  return Math.min(1, Math.max(0, Math.log(Math.max(1, ms) / shortest) / Math.log(longest / shortest)));
}

/** Draws one tile. The motif tells the jobs apart for those to whom the colour does not. */
export function drawTile(
  on: CanvasRenderingContext2D,
  x: number,
  y: number,
  side: number,
  motif: number,
  colour: string,
  contrast: string,
  alpha: number,
): void {
  on.globalAlpha = alpha;
  on.fillStyle = colour;
  on.beginPath();
  on.roundRect(x, y, side, side, side > 6 ? side * 0.18 : 0);
  on.fill();
  if (side < leastMotif) return;
  on.fillStyle = on.strokeStyle = contrast;
  on.globalAlpha = 0.75;
  on.lineWidth = Math.max(1, side * 0.09);
  const [cx, cy, r] = [x + side / 2, y + side / 2, side * 0.22];
  on.beginPath();
  switch (motif % colours) {
    case 1:
      on.arc(cx, cy, r * 0.75, 0, 7);
      return on.fill();
    case 2:
      on.moveTo(cx - r, cy + r);
      on.lineTo(cx + r, cy - r);
      break;
    case 3:
      on.moveTo(cx - r, cy);
      on.lineTo(cx + r, cy);
      on.moveTo(cx, cy - r);
      on.lineTo(cx, cy + r);
      break;
    case 4:
      on.arc(cx, cy, r, 0, 7);
      break;
    case 5:
      on.moveTo(cx, cy - r * 1.2);
      on.lineTo(cx + r * 1.2, cy);
      on.lineTo(cx, cy + r * 1.2);
      on.lineTo(cx - r * 1.2, cy);
      on.closePath();
      break;
    default:
      return;
  }
  on.stroke();
}
