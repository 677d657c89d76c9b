// What can be said about a program before it is sent anywhere.

/** What the API takes. */
export const largestModule = 32 * 1024 * 1024;
const allowed = 'wasi_snapshot_preview1';

export interface Check {
  sha256: string;
  /** Functions it wants from outside, by module. */
  imports: { module: string; names: string[]; allowed: boolean }[];
  /** Why it cannot run on a grid, in words; empty if nothing speaks against it. */
  problems: string[];
}

export async function checkModule(bytes: Uint8Array<ArrayBuffer>): Promise<Check> {
  const sha256 = await hash(bytes);
  const wrong = kindProblem(bytes);
  if (wrong) return { sha256, imports: [], problems: [wrong] };
  let module: WebAssembly.Module;
  try {
    module = await WebAssembly.compile(bytes);
  } catch (cause) {
    return { sha256, imports: [], problems: [`It does not compile: ${(cause as Error).message}`] };
  }
  const imports = importsOf(module);
  return { sha256, imports, problems: [...importProblems(imports), ...exportProblems(module)] };
}

async function hash(bytes: Uint8Array<ArrayBuffer>): Promise<string> {
  const digest = new Uint8Array(await crypto.subtle.digest('SHA-256', bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, '0')).join('');
}

/** Why the bytes are no core module at all. */
function kindProblem(bytes: Uint8Array): string {
  if (bytes.length > largestModule) return 'It is larger than 32 MiB, the most that a program may have.';
  const magic = String.fromCharCode(...bytes.subarray(0, 4));
  if (magic !== '\0asm') return 'This is not WebAssembly: it does not begin with “\\0asm”.';
  if (bytes[6] === 1) return 'This is a WebAssembly component. Build it for WASI preview 1 (wasm32-wasip1).';
  return '';
}

function importsOf(module: WebAssembly.Module): Check['imports'] {
  const names = new Map<string, string[]>();
  for (const { module: from, name } of WebAssembly.Module.imports(module)) {
    names.set(from, [...(names.get(from) ?? []), name]);
  }
  return [...names].map(([from, list]) => ({ module: from, names: list, allowed: from === allowed }));
}

function importProblems(imports: Check['imports']): string[] {
  return imports
    .filter((group) => !group.allowed)
    .map(
      ({ module, names }) => `It imports ${names.join(', ')} from “${module}”. Only ${allowed} is allowed.`,
    );
}

function exportProblems(module: WebAssembly.Module): string[] {
  const exports = new Set(WebAssembly.Module.exports(module).map(({ name }) => name));
  const problems: string[] = [];
  if (!exports.has('_start'))
    problems.push('It exports no _start: build it as a command, not as a library (reactor).');
  if (!exports.has('memory')) problems.push('It exports no memory.');
  return problems;
}
