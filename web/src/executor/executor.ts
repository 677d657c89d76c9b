// An executor: a worker that runs programs, one after the other, and can reach
// nothing: its own response forbids it every request (server/app/routes.go).
// Whoever started it terminates it when a program overruns.
import type { Load, Outcome, Task } from './messages.ts';
import { TooMuchOutput } from './streams.ts';
import { System } from './system.ts';

const nothing = new Uint8Array();
const ready: Outcome = { kind: '', message: '', output: nothing, stderr: nothing, took: 0 };

onmessage = ({ data }: MessageEvent<Task | Load>) => {
  const outcome = 'load' in data ? ready : run(data);
  const buffers = [outcome.output.buffer, outcome.stderr.buffer].filter((b) => b.byteLength > 0);
  postMessage(outcome, { transfer: buffers });
};

function run(task: Task): Outcome {
  const seed = (BigInt(task.seedHigh) << 32n) | BigInt(task.seedLow);
  const system = new System(task.args, task.input, seed, task.limit, task.profile);
  const start = performance.now();
  const end = (failure: Reason, output: Uint8Array = nothing): Outcome => ({
    ...failure,
    output,
    stderr: system.stderr.bytes(),
    took: Math.round((performance.now() - start) * 1000),
  });
  let instance;
  try {
    instance = new WebAssembly.Instance(task.module, system.imports());
  } catch (error) {
    return end(instanceFailure(error));
  }
  try {
    const code = system.run(instance);
    if (code !== 0) return end({ kind: 'exit', message: `the program exited with code ${code}` });
    return end({ kind: '', message: '' }, system.stdout.bytes());
  } catch (error) {
    return end(failure(error, task.limit, instance));
  }
}

type Reason = Pick<Outcome, 'kind' | 'message'>;

const noMemory: Reason = { kind: 'machine', message: 'there was not enough memory on this machine' };

/** A published module says by a global that it stopped because its memory could not grow here. */
function growFailed({ exports }: WebAssembly.Instance): boolean {
  const global = exports.potluck_grow_failed;
  return global instanceof WebAssembly.Global && global.value === 1;
}

/** Too little memory is this machine's trouble; anything else is the module's. */
function instanceFailure(error: unknown): Reason {
  if (error instanceof WebAssembly.LinkError || error instanceof TypeError) {
    return { kind: 'module', message: `the module cannot be linked: ${error.message}` };
  }
  if (error instanceof WebAssembly.RuntimeError) {
    return { kind: 'trap', message: `the program was stopped: ${error.message}` };
  }
  return { kind: 'machine', message: `this browser could not start the program: ${String(error)}` };
}

function failure(error: unknown, limit: number, instance: WebAssembly.Instance): Reason {
  if (error instanceof TooMuchOutput) {
    return { kind: 'output', message: `the program wrote more than ${limit} bytes to stdout` };
  }
  if (growFailed(instance)) return noMemory;
  return {
    kind: 'trap',
    message: `the program was stopped: ${error instanceof Error ? error.message : String(error)}`,
  };
}
