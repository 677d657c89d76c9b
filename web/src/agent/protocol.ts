// What the page and the agent's worker say to each other. The other side is
// wasmworker/main_js.go.

/** A command of the page. */
export type Command =
  | {
      do: 'start';
      /** URL of the grid, of the agent's WebAssembly and of the executor's script. */
      server: string;
      wasm: string;
      executor: string;
      /** 32 random bytes that this browser keeps; their hash is the volunteer's identity. */
      secret: Uint8Array;
      /** What to be called, at most 40 characters; may be empty. */
      name: string;
      /** Team to compute for, likewise. */
      team: string;
      /** For a grid that wants one; else empty. */
      token: string;
      slots: number;
      /** Share of the time that each slot may compute, over 0 and up to 1. */
      share: number;
    }
  /** New limits, at any time. While paused, running tasks end and no others begin. */
  | { do: 'limit'; slots: number; share: number; paused: boolean }
  /** Finish what is being computed, then end. */
  | { do: 'finish' }
  /** Give everything back at once and end. */
  | { do: 'stop' };

/** What the page hears. */
export type Report =
  | ({ kind: 'status' } & Status) // when something has changed, at most two a second
  | { kind: 'ended'; code: EndCode; reason: string };

/** Why the agent ended. 'stopped' was asked for; 'failed' is its own trouble (no WebAssembly, out of memory…). */
export type EndCode = 'stopped' | 'protocol' | 'token' | 'message' | 'full' | 'quarantine' | 'failed';

export interface Status {
  connection: 'connecting' | 'connected' | 'offline';
  /** Why it is offline. */
  reason: string;
  /** When it tries again, in milliseconds since 1970; 0 while it is connected. */
  retryAt: number;
  /** Who this volunteer is to the grid; empty before the first connection. */
  volunteer: string;
  /** Why there is no work; empty while there is some. */
  idle: string;
  /** Why this machine asks for no work, and until when, in milliseconds since 1970; empty and 0 while it does. */
  trouble: string;
  troubleUntil: number;
  totals: Totals;
  /** Results that the grid has not acknowledged yet. They are kept until it has. */
  unacknowledged: number;
  /** Seconds of computing since the start, over all slots. */
  computing: number;
  /** Share of the slots' time that was really computed over the last few seconds, 0 to 1. */
  load: number;
  running: Running[];
  /** What has happened since the last status, the oldest first, at most 50. */
  news: News[];
}

export interface Totals {
  computed: number;
  failed: number;
  /** Validated by the grid. */
  accepted: number;
  /** Waits for other volunteers to agree. */
  pending: number;
  /** Not needed any more when it came. */
  late: number;
  rejected: number;
}

/** A task that is being computed. */
export interface Running {
  slot: number;
  job: string;
  title: string;
  task: number;
  /** Milliseconds since 1970. */
  since: number;
}

export interface News {
  event:
    | 'connected'
    | 'disconnected'
    | 'loading'
    | 'missing'
    | 'computed'
    | 'failed'
    | 'idle'
    | 'rejected'
    | 'trouble';
  job?: string;
  title?: string;
  task?: number;
  ms?: number;
  reason?: string;
}
