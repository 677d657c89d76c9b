// Numbers, sizes and times in words.

const whole = new Intl.NumberFormat('en');

export function number(n: number): string {
  return whole.format(n);
}

/** "1 task", "12,000 tasks". */
export function count(n: number, noun: string, plural = `${noun}s`): string {
  return `${whole.format(n)} ${n === 1 ? noun : plural}`;
}

export function bytes(n: number): string {
  if (n < 1000) return count(n, 'byte');
  const units = ['kB', 'MB', 'GB', 'TB'];
  let unit = -1;
  do {
    n /= 1000;
    unit++;
  } while (n >= 999.5 && unit < units.length - 1);
  return `${n < 10 ? n.toFixed(1) : Math.round(n)} ${units[unit]}`;
}

const second = 1;
const minute = 60;
const hour = 60 * minute;
const day = 24 * hour;
const spans: [seconds: number, noun: string][] = [
  [365 * day, 'year'],
  [day, 'day'],
  [hour, 'hour'],
  [minute, 'minute'],
  [second, 'second'],
];

/** A length of time, as exactly as a person would say it: "2 minutes", "1.5 hours", "40 ms". */
export function duration(seconds: number): string {
  if (seconds < 0.001) return 'under 1 ms';
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)} ms`;
  for (const [length, noun] of spans) {
    const n = seconds / length;
    if (n < 0.9995) continue;
    const rounded = n < 9.95 && noun !== 'second' ? Math.round(n * 2) / 2 : Math.round(n);
    return `${whole.format(rounded)} ${rounded === 1 ? noun : `${noun}s`}`;
  }
  return '1 second';
}

/** How long ago a moment was: "just now", "5 minutes ago". */
export function ago(at: string | number, now: number): string {
  const seconds = (now - new Date(at).getTime()) / 1000;
  return seconds < 10 ? 'just now' : `${duration(seconds)} ago`;
}

/** A moment in full, in the visitor's own zone. */
export function moment(at: string): string {
  return new Date(at).toLocaleString('en-GB', { dateStyle: 'medium', timeStyle: 'short' });
}

export function percent(part: number, total: number): string {
  if (total <= 0) return '0 %';
  const share = (100 * part) / total;
  // Nothing is complete before it is, and nothing has begun that has not.
  if (part > 0 && share < 1) return 'under 1 %';
  return `${part < total ? Math.min(99, Math.round(share)) : 100} %`;
}

/** A trust policy, as the one who chose it would put it. */
export function policy(text: string): string {
  if (text === 'trusted') return 'One answer is enough';
  if (text === 'adaptive') return 'Established volunteers, checked now and then';
  const n = /^strict:(\d+)$/.exec(text)?.[1];
  return n ? `${n} volunteers must agree` : text;
}
