import { count } from '../words';
import { looks, pauseWords, type Pause, type State } from './states';

/** What is worth being told to somebody who listens: a new state, and now and then how far it is. */
export function spoken(state: State, pauses: ReadonlySet<Pause>, computed: number): string {
  if (state === 'idle' || state === 'unsupported') return '';
  const words = [`${looks[state].title}.`];
  if (state === 'paused') {
    for (const pause of pauses) words.push(pause === 'timer' ? 'It goes on by itself.' : pauseWords[pause]);
  }
  const reached = milestone(computed);
  if (state === 'computing' && reached > 0) words.push(`${count(reached, 'task')} done.`);
  return words.join(' ');
}

/** The last round number up to n: 1, 2, 5, 10, 20, 50, 100… */
export function milestone(n: number): number {
  if (n < 1) return 0;
  const power = 10 ** Math.floor(Math.log10(n));
  const lead = Math.floor(n / power);
  return (lead >= 5 ? 5 : lead >= 2 ? 2 : 1) * power;
}
