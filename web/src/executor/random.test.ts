import { expect, test } from 'vitest';
import { Random } from './random.ts';

// As published with Vigna's reference implementation (https://prng.di.unimi.it/splitmix64.c).
test('SplitMix64 gives its published outputs', () => {
  const random = new Random(1234567n);
  expect([random.next(), random.next(), random.next()]).toEqual([
    6457827717110365317n,
    3203168211198807973n,
    9817491932198370423n,
  ]);
});

test('bytes come one after the other, however they are asked for', () => {
  const whole = new Uint8Array(20);
  new Random(1n).fill(whole);
  const parts = new Random(1n);
  const got = [3, 5, 12].flatMap((n) => {
    const bytes = new Uint8Array(n);
    parts.fill(bytes);
    return [...bytes];
  });
  expect(got).toEqual([...whole]);
});
