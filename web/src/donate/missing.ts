const needs: [name: string, what: string][] = [
  ['WebAssembly', 'WebAssembly, in which the tasks are written'],
  ['Worker', 'Web Workers, which compute without blocking the page'],
  ['WebSocket', 'WebSocket, over which the tasks come'],
];

/** What a browser lacks to take part, in words. */
export function missing(scope: object = globalThis): string[] {
  return needs.filter(([name]) => !(name in scope)).map(([, what]) => what);
}
