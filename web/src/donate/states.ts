import type { EndCode, Status } from '../agent/protocol';
import type { IconName } from '../ui/icons';
import { count, duration } from '../words';
import type { Phase } from './donor.svelte';
import type { GuardName } from './guards';

/** Why it is paused: by the volunteer, for some minutes, by the machine, or by the browser that froze the tab. */
export type Pause = 'me' | 'timer' | 'frozen' | GuardName;

export type State =
  | 'idle'
  | 'unsupported'
  | 'another'
  | 'starting'
  | 'computing'
  | 'paused'
  | 'nowork'
  | 'trouble'
  | 'offline'
  | 'finishing'
  | 'stopping'
  | 'stopped'
  | 'protocol'
  | 'token'
  | 'quarantine'
  | 'full'
  | 'failed';

/** What a state comes from. */
export interface Facts {
  phase: Phase;
  unsupported: boolean;
  status?: Pick<
    Status,
    'connection' | 'idle' | 'reason' | 'retryAt' | 'unacknowledged' | 'trouble' | 'troubleUntil'
  > & {
    running: { length: number };
  };
  end?: { code: EndCode; reason: string };
  pauses: ReadonlySet<Pause>;
  pausedUntil: number;
}

const ends: Record<EndCode, State> = {
  stopped: 'stopped',
  protocol: 'protocol',
  token: 'token',
  message: 'failed',
  full: 'full',
  quarantine: 'quarantine',
  failed: 'failed',
};

export function stateOf({ phase, unsupported, status, end, pauses }: Facts): State {
  if (unsupported) return 'unsupported';
  if (phase === 'ended') return ends[end?.code ?? 'stopped'];
  if (phase !== 'running' && phase !== 'finishing') return phase;
  if (status?.connection === 'offline') return phase === 'running' && pauses.size > 0 ? 'paused' : 'offline';
  if (phase === 'finishing') return 'finishing';
  if (pauses.size > 0) return 'paused';
  if (!status || status.connection === 'connecting') return 'starting';
  if (status.trouble && status.running.length === 0) return 'trouble';
  return status.idle && status.running.length === 0 ? 'nowork' : 'computing';
}

export type Tone = 'calm' | 'busy' | 'good' | 'bad';

interface Look {
  icon: IconName;
  tone: Tone;
  title: string;
}

export const looks: Record<State, Look> = {
  idle: { icon: 'donate', tone: 'calm', title: 'Nothing is running' },
  unsupported: { icon: 'warning', tone: 'bad', title: 'This browser cannot take part' },
  another: { icon: 'copy', tone: 'calm', title: 'Another tab is already computing' },
  starting: { icon: 'spin', tone: 'busy', title: 'Sitting down at the table' },
  computing: { icon: 'check', tone: 'good', title: 'Computing' },
  paused: { icon: 'pause', tone: 'calm', title: 'Paused' },
  nowork: { icon: 'clock', tone: 'calm', title: 'Ready, but there is no work' },
  trouble: { icon: 'warning', tone: 'bad', title: 'This machine cannot compute now' },
  offline: { icon: 'retry', tone: 'busy', title: 'The grid cannot be reached' },
  finishing: { icon: 'clock', tone: 'busy', title: 'Finishing the current tasks' },
  stopping: { icon: 'spin', tone: 'busy', title: 'Stopping' },
  stopped: { icon: 'stop', tone: 'calm', title: 'Stopped' },
  protocol: { icon: 'retry', tone: 'bad', title: 'This page is out of date' },
  token: { icon: 'warning', tone: 'bad', title: 'This grid wants a token' },
  quarantine: { icon: 'cross', tone: 'bad', title: 'This grid no longer takes your results' },
  full: { icon: 'warning', tone: 'bad', title: 'The table is full' },
  failed: { icon: 'warning', tone: 'bad', title: 'Something went wrong' },
};

export const pauseWords: Record<Exclude<Pause, 'timer'>, string> = {
  me: 'You paused it.',
  battery: 'The machine runs on its battery. It goes on when it is plugged in.',
  busy: 'The machine is busy with other things. It goes on when they are done.',
  saver: 'The browser is set to save data. It goes on when that is switched off.',
  frozen: 'The browser froze this tab in the background. Keep the tab in sight to go on.',
};

/** What a state means and what happens next. Now is in milliseconds since 1970. */
export function explain(state: State, facts: Facts & { missing: string[]; waiting: boolean }, now: number) {
  const { status, end } = facts;
  switch (state) {
    case 'idle':
      return '';
    case 'unsupported':
      return `It lacks ${facts.missing.join('; and ')}. A current Firefox, Chrome, Edge or Safari has all of it; private modes and lockdown modes may switch it off.`;
    case 'another':
      return facts.waiting
        ? 'This tab starts as soon as the other one stops.'
        : 'One tab of a browser is enough: it uses all the cores that you allow.';
    case 'starting':
      return status ? 'Connecting to the grid.' : 'Fetching the program that talks to the grid.';
    case 'computing':
      return '';
    case 'paused':
      return pausedBecause(facts, now);
    case 'nowork':
      return `${sentence(status?.idle)} The grid sends a task as soon as there is one; you need not do anything.`;
    case 'trouble':
      return `${sentence(status?.trouble)} ${retry(status?.troubleUntil ?? 0, now)} What it had went back to the grid.`;
    case 'offline':
      return `${sentence(status?.reason)} ${retry(status?.retryAt ?? 0, now)} ${kept(status?.unacknowledged ?? 0)}`.trim();
    case 'finishing':
      return 'Nothing new begins. It stops by itself when they are done and acknowledged.';
    case 'stopping':
      return 'What is not finished goes back to the grid, which lends it to somebody else.';
    case 'stopped':
      return `${sentence(end?.reason)} Nothing is running any more.`.trim();
    case 'protocol':
      return 'The grid was updated and speaks another version of its protocol. Reload the page to get it.';
    case 'token':
      return 'Whoever runs it can give you one. It is kept only as long as this tab is open.';
    case 'quarantine':
      return sentence(end?.reason) || 'Results from this browser were wrong.';
    case 'full':
      return `${sentence(end?.reason)} It takes no more workers from here at the moment.`.trim();
    case 'failed':
      return sentence(end?.reason) || 'The agent ended and did not say why.';
  }
}

function pausedBecause({ pauses, pausedUntil, status }: Facts, now: number): string {
  const reasons = [...pauses].map((pause) =>
    pause === 'timer' ? `It goes on in ${countdown(pausedUntil - now)}.` : pauseWords[pause],
  );
  const running = status?.running.length ?? 0;
  if (running > 0) reasons.push(`${count(running, 'task')} still being finished.`);
  return reasons.join(' ');
}

function retry(at: number, now: number): string {
  return at > now ? `Next try in ${countdown(at - now)}.` : 'Trying again now.';
}

function kept(results: number): string {
  if (results === 0) return 'Nothing is lost.';
  return `${count(results, 'result')} ${results === 1 ? 'is' : 'are'} kept until the grid has ${results === 1 ? 'it' : 'them'}.`;
}

/** Minutes and seconds to go, such as "4:05". */
export function countdown(ms: number): string {
  const seconds = Math.max(0, Math.ceil(ms / 1000));
  if (seconds < 60) return duration(Math.max(1, seconds));
  return `${Math.floor(seconds / 60)}:${String(seconds % 60).padStart(2, '0')}`;
}

/** A reason of somebody else's, as a sentence of ours. */
export function sentence(reason = ''): string {
  const text = reason.trim();
  if (!text) return '';
  return text.charAt(0).toUpperCase() + text.slice(1) + (/[.!?]$/.test(text) ? '' : '.');
}
