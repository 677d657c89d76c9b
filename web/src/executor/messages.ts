// What the agent and an executor say to each other. The other side is
// wasmworker/tab_js.go.

/** A task to run. Each is answered by one Outcome, in their order. */
export interface Task {
  module: WebAssembly.Module;
  /** argv; the first is the program's name. */
  args: string[];
  input: Uint8Array;
  /** Where the task's randomness starts, as two halves of 32 bits. */
  seedLow: number;
  seedHigh: number;
  /** Bytes that it may write. */
  limit: number;
  /** What WASI answers, as in package sandbox; 0 is 1. */
  profile: number;
}

/** A module comes along with each task; to load one ahead there is nothing to do but to answer. */
export interface Load {
  load: true;
}

/** What became of a task. Without a kind it went well. */
export interface Outcome {
  output: Uint8Array;
  stderr: Uint8Array;
  /** As in package sandbox; empty if there is no failure. */
  kind: '' | 'exit' | 'trap' | 'output' | 'module' | 'machine';
  message: string;
  /** Microseconds of running. */
  took: number;
}
