// How an input is cut into those of tasks.

export type InputKind = 'text' | 'file' | 'range' | 'job';
export type By = 'default' | 'lines' | 'lines:N' | 'bytes:N' | 'json';

export interface Splitter {
  by: By;
  n: string;
  from: string;
  to: string;
  step: string;
}

export interface Split {
  split?: string;
  error?: string;
  /** The control that the error belongs to. */
  at?: 'split' | 'range';
}

export function splitOf(input: InputKind, splitter: Splitter): Split {
  if (input === 'job') return {}; // as they were cut for that one
  if (input === 'range') return rangeOf(splitter);
  switch (splitter.by) {
    case 'default':
      return {};
    case 'lines':
    case 'json':
      return { split: splitter.by };
    case 'lines:N':
    case 'bytes:N': {
      const n = splitter.n.trim();
      if (!/^[1-9]\d*$/.test(n)) return { error: 'How many? A whole number of at least 1.', at: 'split' };
      return { split: splitter.by.replace('N', n) };
    }
  }
}

const usual: Splitter = { by: 'default', n: '100', from: '1', to: '1000', step: '' };

/** What the controls show for a splitter; the usual where it is silent. */
export function splitterOf(split = ''): Splitter {
  const [kind, first = '', second = '', third = ''] = split.split(':');
  switch (kind) {
    case 'lines':
      return first ? { ...usual, by: 'lines:N', n: first } : { ...usual, by: 'lines' };
    case 'bytes':
      return { ...usual, by: 'bytes:N', n: first };
    case 'json':
      return { ...usual, by: 'json' };
    case 'range':
      return { ...usual, from: first, to: second, step: third };
    default:
      return { ...usual };
  }
}

function rangeOf({ from, to, step }: Splitter): Split {
  const parts = [from, to, step || '1'].map((part) => part.trim());
  if (!parts.every((part) => /^-?\d+$/.test(part)))
    return { error: 'Whole numbers are needed.', at: 'range' };
  const [a = 0n, b = 0n, by = 1n] = parts.map(BigInt);
  if (by === 0n || (b - a) * by < 0n) {
    return { error: 'With this step the last number is never reached from the first.', at: 'range' };
  }
  return { split: `range:${a}:${b}${by === 1n ? '' : `:${by}`}` };
}
