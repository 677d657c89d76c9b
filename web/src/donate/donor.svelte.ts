import type { Command, EndCode, Report, Status } from '../agent/protocol';
import { Contribution, nothing, sum } from './contribution';
import type { Guard, GuardName } from './guards';
import { forget, known, secret } from './identity';
import type { Leave, Seat } from './seat';
import { load, save, visible, type Settings } from './settings';
import { stateOf, type Pause, type State } from './states';

/** What of a Worker the donor uses. */
export interface Agent {
  postMessage(command: Command): void;
  terminate(): void;
  onmessage: ((event: { data: Report }) => void) | null;
  onerror: ((event: { message?: string; preventDefault?: () => void }) => void) | null;
}

/** All that the donor needs of the browser, so that a test can be one. */
export interface Surroundings {
  agent: () => Agent;
  server: string;
  wasm: string;
  executor: string;
  cores: number;
  /** What the browser lacks, in words. */
  missing: string[];
  seat: Seat;
  guards: Guard[];
  /** Keeps the screen on until the returned function is called; missing where that cannot be. */
  awake?: () => () => void;
  /** Has the grid erase what the owner of a secret is called. */
  erase: (secret: Uint8Array) => Promise<void>;
  local?: Storage;
  session?: Storage;
}

export type Phase = 'idle' | 'another' | 'starting' | 'running' | 'finishing' | 'stopping' | 'ended';

const startWithin = 20_000;
const stopWithin = 4000;
const tokenKey = 'potluck.token';

/**
 * A volunteer's side of this tab. It outlives the page that shows it, so that one may look around while it
 * computes; it ends with Stop or with the tab. Before Start it does nothing at all.
 */
export class Donor {
  settings = $state<Settings>()!;
  phase = $state<Phase>('idle');
  status = $state.raw<Status>();
  end = $state.raw<{ code: EndCode; reason: string }>();
  /** Why it is paused; all reasons have to go before it goes on. */
  pauses = $state.raw<ReadonlySet<Pause>>(new Set());
  /** When a pause for some minutes ends, in milliseconds since 1970. */
  pausedUntil = $state(0);
  startedAt = $state(0);
  /** Grows whenever there is something new in the contribution. */
  version = $state(0);
  /** Whether another tab is waited for. */
  waiting = $state(false);

  // Of the starts before this one.
  private before = $state.raw(nothing);
  private computedBefore = $state(0);

  readonly contribution = new Contribution();
  readonly state: State = $derived.by(() => stateOf(this));
  readonly totals = $derived.by(() => {
    void this.version;
    return sum(this.before, this.status?.totals ?? nothing);
  });
  readonly computing = $derived(this.computedBefore + (this.status?.computing ?? 0));
  readonly alive = $derived(['starting', 'running', 'finishing', 'stopping'].includes(this.phase));

  private agent: Agent | undefined;
  private leave: Leave | undefined;
  private queue: AbortController | undefined;
  private unwatch: (() => void)[] = [];
  private letSleep: (() => void) | undefined;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private deadline: ReturnType<typeof setTimeout> | undefined;
  private frozenAt = 0;

  constructor(readonly around: Surroundings) {
    this.settings = load(around.local, around.cores);
  }

  get unsupported(): boolean {
    return this.around.missing.length > 0;
  }

  /** Whether closing the tab now would lose something. */
  get unsaved(): boolean {
    return this.alive && (this.status?.unacknowledged ?? 0) > 0;
  }

  start = async (): Promise<void> => {
    if (this.unsupported || this.alive) return;
    this.end = undefined;
    this.phase = 'starting';
    const leave = await this.around.seat.take();
    // Stop may have been pressed in between.
    if (this.phase !== 'starting') leave?.();
    else if (leave) this.begin(leave);
    else this.phase = 'another';
  };

  /** Starts as soon as the other tab stops. */
  wait = async (): Promise<void> => {
    if (this.phase !== 'another' || this.queue) return;
    const queue = new AbortController();
    this.queue = queue;
    this.waiting = true;
    try {
      const leave = await this.around.seat.wait(queue.signal);
      if (queue.signal.aborted) leave();
      else this.begin(leave);
    } catch {
      // Waiting was called off.
    } finally {
      if (this.queue === queue) this.unqueue();
    }
  };

  stop = (): void => {
    if (this.phase === 'another') {
      this.queue?.abort();
      this.unqueue();
      this.phase = 'idle';
    } else if (this.phase === 'starting' && !this.agent) {
      this.phase = 'idle';
    } else if (this.alive && this.phase !== 'stopping') {
      this.phase = 'stopping';
      this.send({ do: 'stop' });
      // An agent that does not answer is stopped all the same.
      this.due(stopWithin, () => this.ended('stopped', ''));
    }
  };

  finish = (): void => {
    if (this.phase !== 'running') return;
    this.note('Finishing the current tasks');
    this.phase = 'finishing';
    this.send({ do: 'finish' });
    // A task that waits behind a pause would never be finished.
    this.clearPauses();
  };

  pause = (): void => this.setPause('me', true);

  pauseFor = (minutes: number): void => {
    clearTimeout(this.timer);
    this.pausedUntil = Date.now() + minutes * 60_000;
    this.timer = setTimeout(() => this.endTimer(), minutes * 60_000);
    this.setPause('timer', true);
  };

  /** Ends the pauses that the volunteer asked for; those of the machine end by themselves. */
  resume = (): void => {
    this.endTimer();
    this.setPause('me', false);
  };

  /** Goes on in spite of the machine: what is a reason to pause now shall be none any more. */
  override = (): void => {
    const overridden = this.around.guards.filter(({ name }) => this.pauses.has(name));
    this.change(Object.fromEntries(overridden.map(({ name }) => [name, false])));
  };

  /** Takes in changed settings, at once if it is computing. */
  change = (change: Partial<Settings>): void => {
    Object.assign(this.settings, change);
    save(this.around.local, this.settings);
    if (!this.alive) return;
    if (this.around.guards.some(({ name }) => name in change)) this.watchMachine();
    this.keepAwake();
    if ('cores' in change || 'share' in change) this.limit();
  };

  /** Has the grid erase the name, and makes this browser a stranger to it. Without the secret nobody could. */
  forget = async (): Promise<void> => {
    this.stop();
    const had = known(this.around.local);
    if (had) await this.around.erase(had);
    forget(this.around.local);
    this.change({ name: '', team: '' });
  };

  get token(): string {
    try {
      return this.around.session?.getItem(tokenKey) ?? '';
    } catch {
      return '';
    }
  }

  /** A token is a password: it is kept no longer than the tab. */
  useToken = (token: string): Promise<void> => {
    this.around.session?.setItem(tokenKey, token.trim());
    return this.start();
  };

  /** The page is going away, for good or into the browser's memory: what was lent goes back. */
  left = (): void => {
    if (!this.alive) return;
    const agent = this.agent;
    this.agent = undefined;
    agent?.postMessage({ do: 'stop' });
    // In the browser's memory it gets to that only when the visitor comes back.
    if (agent) agent.onmessage = ({ data }) => data.kind === 'ended' && agent.terminate();
    this.ended('stopped', 'You left the page.');
  };

  froze = (): void => {
    if (!this.alive) return;
    this.frozenAt = Date.now();
    this.setPause('frozen', true);
  };

  thawed = (): void => {
    if (!this.frozenAt) return;
    const minutes = Math.max(1, Math.round((Date.now() - this.frozenAt) / 60_000));
    this.note(`The browser had frozen this tab for about ${minutes} min`, true);
    this.frozenAt = 0;
    this.setPause('frozen', false);
  };

  private begin(leave: Leave): void {
    const { around, settings } = this;
    this.leave = leave;
    this.phase = 'starting';
    this.status = undefined;
    this.startedAt = Date.now();
    this.note('Started');
    let agent: Agent;
    try {
      agent = around.agent();
    } catch (cause) {
      return this.ended('failed', cause instanceof Error ? cause.message : String(cause));
    }
    this.agent = agent;
    agent.onmessage = ({ data }) => this.heard(data);
    agent.onerror = (event) => {
      event.preventDefault?.();
      this.ended('failed', event.message || 'Its script did not load.');
    };
    this.send({
      do: 'start',
      server: around.server,
      wasm: around.wasm,
      executor: around.executor,
      secret: secret(around.local),
      name: visible(settings.name),
      team: visible(settings.team),
      token: this.token,
      slots: settings.cores,
      share: settings.share / 100,
    });
    this.due(startWithin, () => this.ended('failed', 'It has not answered for 20 seconds.'));
    this.watchMachine();
    this.keepAwake();
  }

  private heard(report: Report): void {
    if (report.kind === 'ended') return this.ended(report.code, report.reason);
    clearTimeout(this.phase === 'starting' ? this.deadline : undefined);
    if (this.phase === 'starting') {
      this.phase = 'running';
      // Reasons to pause may have come before the agent was there to hear of them.
      if (this.pauses.size > 0) this.limit();
    }
    this.status = report;
    this.contribution.take(report.news, Date.now());
    if (report.news.length > 0) this.version++;
  }

  private ended(code: EndCode, reason: string): void {
    if (this.phase === 'ended') return;
    clearTimeout(this.deadline);
    if (this.agent) {
      this.agent.onmessage = null;
      this.agent.onerror = null;
      this.agent.terminate();
      this.agent = undefined;
    }
    this.before = this.totals;
    this.computedBefore = this.computing;
    this.status = undefined;
    this.end = { code, reason };
    this.phase = 'ended';
    this.note(reason ? `Stopped: ${reason}` : 'Stopped', code !== 'stopped');
    for (const stop of this.unwatch.splice(0)) stop();
    this.letSleep?.();
    this.letSleep = undefined;
    this.clearPauses();
    this.leave?.();
    this.leave = undefined;
  }

  private send(command: Command): void {
    this.agent?.postMessage(command);
  }

  private limit(): void {
    const { cores, share } = this.settings;
    this.send({ do: 'limit', slots: cores, share: share / 100, paused: this.pauses.size > 0 });
  }

  private setPause(pause: Pause, on: boolean): void {
    if (this.pauses.has(pause) === on) return;
    const pauses = new Set(this.pauses);
    if (on) pauses.add(pause);
    else pauses.delete(pause);
    this.pauses = pauses;
    if (!this.alive) return;
    this.limit();
    this.keepAwake();
    if (pause !== 'frozen') this.note(on ? paused[pause] : resumed[pause]);
  }

  private endTimer(): void {
    clearTimeout(this.timer);
    this.pausedUntil = 0;
    this.setPause('timer', false);
  }

  private clearPauses(): void {
    clearTimeout(this.timer);
    this.pausedUntil = 0;
    this.pauses = new Set();
    if (this.alive) this.limit();
  }

  /** Listens to those reasons to pause that the volunteer has ticked. */
  private watchMachine(): void {
    for (const stop of this.unwatch.splice(0)) stop();
    const own = () => (this.settings.cores * this.settings.share) / 100 / Math.max(1, this.around.cores);
    for (const guard of this.around.guards) {
      if (!guard.available) continue;
      if (this.settings[guard.name]) {
        this.unwatch.push(guard.watch((reason) => this.alive && this.setPause(guard.name, reason), own));
      } else {
        this.setPause(guard.name, false);
      }
    }
  }

  private keepAwake(): void {
    const wanted = this.alive && this.settings.awake && this.pauses.size === 0;
    if (wanted) this.letSleep ??= this.around.awake?.();
    else {
      this.letSleep?.();
      this.letSleep = undefined;
    }
  }

  private due(within: number, late: () => void): void {
    clearTimeout(this.deadline);
    this.deadline = setTimeout(late, within);
  }

  private unqueue(): void {
    this.queue = undefined;
    this.waiting = false;
  }

  private note(text: string, bad = false): void {
    this.contribution.note(Date.now(), text, bad);
    this.version++;
  }
}

const paused: Record<GuardName | 'me' | 'timer', string> = {
  me: 'Paused',
  timer: 'Paused for a while',
  battery: 'Paused: the machine runs on its battery',
  busy: 'Paused: the machine is busy',
  saver: 'Paused: the browser saves data',
};

const resumed: Record<GuardName | 'me' | 'timer', string> = {
  me: 'Going on',
  timer: 'The pause is over',
  battery: 'The machine is charging again',
  busy: 'The machine is free again',
  saver: 'The browser no longer saves data',
};
