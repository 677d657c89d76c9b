const files = import.meta.glob<string>('../../../tasks/*/picture.svg', {
  eager: true,
  query: '?url',
  import: 'default',
});

const byName = new Map(Object.entries(files).map(([path, url]) => [path.split('/').at(-2), url]));

/** The picture that a program has beside it. */
export function pictureOf(name: string): string | undefined {
  return byName.get(name);
}

/** Tiles that are always the same for a name: mirrored, as a pattern woven from it. */
export function pattern(name: string): { x: number; y: number; tone: number }[] {
  let seed = 2166136261;
  for (const char of name) seed = Math.imul(seed ^ char.codePointAt(0)!, 16777619) >>> 0;
  const tiles = [];
  for (let y = 0; y < 5; y++) {
    for (let x = 0; x < 4; x++) {
      seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0;
      const tone = (seed >>> 24) % 4;
      tiles.push({ x, y, tone }, { x: 7 - x, y, tone });
    }
  }
  return tiles;
}
