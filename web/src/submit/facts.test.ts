import { expect, it } from 'vitest';
import { changesOf, factsOf } from './facts';

const module = {
  id: 'a'.repeat(64),
  bytes: 3_500_000,
  plain: true,
  profile: 2,
  memory: 512 * 2 ** 20,
  tables: 1,
  features: ['SIMD', 'bulk memory'],
  rewritten: { canonical: 61, grows: 1, merged: 39146, start: true },
};

it('says what a module may take and uses', () => {
  const facts = new Map(factsOf(module).map(({ term, text }) => [term, text]));
  expect(facts.get('Memory')).toBe('up to 512 MiB');
  expect(facts.get('Tables')).toBe('up to 1 entry');
  expect(facts.get('Uses')).toBe('SIMD, bulk memory');
});

it('says what was changed', () => {
  expect(changesOf(module)).toBe(
    'the bits of NaNs are the same everywhere (61 places); a machine without memory gives the task back (1 function); its start section is part of _start; 39,146 data segments became part of others',
  );
});

it('leaves out what a module of the first profile does not say', () => {
  expect(factsOf({ id: 'a', bytes: 10, plain: true }).map(({ term }) => term)).toEqual(['Size', 'Profile']);
});
