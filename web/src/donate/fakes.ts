// A browser for the donor's tests.
import type { Command, Report, Status } from '../agent/protocol';
import { nothing } from './contribution';
import { Donor, type Agent, type Surroundings } from './donor.svelte';
import type { Guard, GuardName } from './guards';
import type { Leave, Seat } from './seat';

export class FakeAgent implements Agent {
  heard: Command[] = [];
  terminated = false;
  onmessage: Agent['onmessage'] = null;
  onerror: Agent['onerror'] = null;

  postMessage(command: Command): void {
    this.heard.push(command);
  }

  terminate(): void {
    this.terminated = true;
  }

  say(report: Report): void {
    this.onmessage?.({ data: report });
  }

  status(change: Partial<Status> = {}): void {
    this.say({ kind: 'status', ...quiet, ...change });
  }

  get last(): Command | undefined {
    return this.heard.at(-1);
  }
}

export const quiet: Status = {
  connection: 'connected',
  reason: '',
  retryAt: 0,
  volunteer: 'v',
  idle: '',
  trouble: '',
  troubleUntil: 0,
  totals: nothing,
  unacknowledged: 0,
  computing: 0,
  load: 0,
  running: [],
  news: [],
};

export class FakeSeat implements Seat {
  taken = false;
  private waiting: (() => void)[] = [];

  take(): Promise<Leave | undefined> {
    if (this.taken) return Promise.resolve(undefined);
    this.taken = true;
    return Promise.resolve(() => this.free());
  }

  wait(signal: AbortSignal): Promise<Leave> {
    return new Promise((resolve, reject) => {
      signal.addEventListener('abort', () => reject(new Error('called off')));
      this.waiting.push(() => {
        if (signal.aborted) return; // the browser drops such a request
        this.taken = true;
        resolve(() => this.free());
      });
    });
  }

  free(): void {
    this.taken = false;
    this.waiting.shift()?.();
  }
}

export class FakeGuard implements Guard {
  available = true;
  tell: ((reason: boolean) => void) | undefined;

  constructor(readonly name: GuardName) {}

  watch(tell: (reason: boolean) => void): () => void {
    this.tell = tell;
    return () => (this.tell = undefined);
  }
}

export class FakeStorage implements Storage {
  private items = new Map<string, string>();
  [name: string]: unknown;

  get length(): number {
    return this.items.size;
  }
  clear(): void {
    this.items.clear();
  }
  getItem(key: string): string | null {
    return this.items.get(key) ?? null;
  }
  key(index: number): string | null {
    return [...this.items.keys()][index] ?? null;
  }
  removeItem(key: string): void {
    this.items.delete(key);
  }
  setItem(key: string, value: string): void {
    this.items.set(key, value);
  }
}

export function fakeDonor(change: Partial<Surroundings> = {}) {
  const agents: FakeAgent[] = [];
  const seat = new FakeSeat();
  const battery = new FakeGuard('battery');
  const busy = new FakeGuard('busy');
  const screen = { on: false };
  const erased = { fails: false, secrets: [] as Uint8Array[] };
  const donor = new Donor({
    agent: () => {
      const agent = new FakeAgent();
      agents.push(agent);
      return agent;
    },
    server: 'http://grid',
    wasm: 'http://grid/agent.wasm',
    executor: 'http://grid/executor.js',
    cores: 8,
    missing: [],
    seat,
    guards: [battery, busy],
    awake: () => {
      screen.on = true;
      return () => (screen.on = false);
    },
    erase: (secret) => {
      if (erased.fails) return Promise.reject(new Error('offline'));
      erased.secrets.push(secret);
      return Promise.resolve();
    },
    local: new FakeStorage(),
    session: new FakeStorage(),
    ...change,
  });
  /** Starts, up to the first report. */
  const started = async (): Promise<FakeAgent> => {
    await donor.start();
    const agent = agents.at(-1);
    if (!agent) throw new Error('no agent was made');
    agent.status();
    return agent;
  };
  return { donor, agents, seat, battery, busy, screen, erased, started };
}
