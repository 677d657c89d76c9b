import type { Module } from '../api/client';
import { bytes, count, number } from '../words';

export interface Fact {
  term: string;
  text: string;
}

/** What a published module is, what it may take and what was changed in it. */
export function factsOf(module: Module): Fact[] {
  const facts: Fact[] = [];
  const add = (term: string, text: string | undefined | false) => text && facts.push({ term, text });
  add('Size', bytes(module.bytes));
  add('Memory', module.memory !== undefined && `up to ${number(module.memory / 2 ** 20)} MiB`);
  add('Tables', !!module.tables && `up to ${count(module.tables, 'entry', 'entries')}`);
  add('Uses', module.features?.join(', '));
  add('Changed', changesOf(module));
  add('Profile', `${module.profile ?? 1}: what every machine that computes it must have`);
  return facts;
}

/** What was changed so that every machine gives the same bytes. */
export function changesOf(module: Module): string {
  const { canonical = 0, grows = 0, merged = 0, start = false } = module.rewritten ?? {};
  return [
    canonical && `the bits of NaNs are the same everywhere (${count(canonical, 'place')})`,
    grows && `a machine without memory gives the task back (${count(grows, 'function')})`,
    start && 'its start section is part of _start',
    merged && `${count(merged, 'data segment')} became part of others`,
  ]
    .filter(Boolean)
    .join('; ');
}
