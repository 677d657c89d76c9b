// The agent's worker: it starts the Go program and passes messages on. The
// program finds what it needs in globalThis.potluck.
import '../../generated/wasm_exec.js';
import type { Command, Report } from './protocol.ts';

type Start = Extract<Command, { do: 'start' }>;

/** What the Go program sees: wasmworker/main_js.go. */
interface Host {
  start: Start;
  /** Passes a report on, as JSON. */
  report: (json: string) => void;
  /** Says that the program takes commands. */
  ready: (command: (c: Command) => void) => void;
}

declare global {
  var potluck: Host;
  // wasm_exec.js defines it.
  var Go: new () => {
    importObject: WebAssembly.Imports;
    run: (instance: WebAssembly.Instance) => Promise<void>;
  };
}

/** Commands that came before the program took any. */
const early: Command[] = [];
let obey = (command: Command): void => void early.push(command);

onmessage = ({ data }: MessageEvent<Command>) => {
  if (data.do === 'start') void start(data);
  else obey(data);
};

async function start(command: Start): Promise<void> {
  globalThis.potluck = {
    start: command,
    report: (json) => report(JSON.parse(json) as Report),
    ready(command) {
      obey = command;
      early.splice(0).forEach(command);
    },
  };
  try {
    const go = new Go();
    const program = await WebAssembly.instantiateStreaming(fetch(command.wasm), go.importObject);
    await go.run(program.instance);
    if (!ended) fail('it ended and did not say why; the console of the browser may know');
  } catch (error) {
    fail(String(error));
  }
}

function fail(why: string): void {
  report({ kind: 'ended', code: 'failed', reason: `the agent could not run: ${why}` });
}

let ended = false;

function report(r: Report): void {
  ended ||= r.kind === 'ended';
  postMessage(r);
}
