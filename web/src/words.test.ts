import { expect, it } from 'vitest';
import { ago, bytes, count, duration, percent, policy } from './words';

it('counts', () => {
  expect(count(1, 'task')).toBe('1 task');
  expect(count(12000, 'task')).toBe('12,000 tasks');
  expect(count(0, 'reply', 'replies')).toBe('0 replies');
});

it('sizes', () => {
  expect([1, 999, 1000, 48_500, 999_600, 3_400_000, 2e13].map(bytes)).toEqual([
    '1 byte',
    '999 bytes',
    '1.0 kB',
    '49 kB',
    '1.0 MB',
    '3.4 MB',
    '20 TB',
  ]);
});

it('lengths of time', () => {
  expect(
    [0, 0.04, 0.9999, 1, 59, 60, 95, 3600, 5400, 36_000, 86_400 * 3, 86_400 * 800].map(duration),
  ).toEqual([
    'under 1 ms',
    '40 ms',
    '1 second',
    '1 second',
    '59 seconds',
    '1 minute',
    '1.5 minutes',
    '1 hour',
    '1.5 hours',
    '10 hours',
    '3 days',
    '2 years',
  ]);
});

it('moments ago', () => {
  const at = '2024-05-01T12:00:00Z';
  const now = new Date(at).getTime();
  expect(ago(at, now + 3000)).toBe('just now');
  expect(ago(at, now + 300_000)).toBe('5 minutes ago');
  expect(ago(at, now - 5000)).toBe('just now'); // clocks differ
});

it('shares never claim to be complete too soon', () => {
  expect(percent(0, 10)).toBe('0 %');
  expect(percent(1, 1000)).toBe('under 1 %');
  expect(percent(999, 1000)).toBe('99 %');
  expect(percent(1000, 1000)).toBe('100 %');
  expect(percent(0, 0)).toBe('0 %');
});

it('policies', () => {
  expect(policy('strict:3')).toBe('3 volunteers must agree');
  expect(policy('trusted')).toBe('One answer is enough');
  expect(policy('whatever')).toBe('whatever');
});
