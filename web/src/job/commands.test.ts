import { expect, it } from 'vitest';
import type { Job } from '../api/client';
import { asCommand, asCurl, fileName, quote } from './commands';

const job = {
  id: 'j1',
  title: "Ada's job",
  program: 'nqueens',
  params: { n: 8 },
  policy: 'strict:2',
  priority: 1,
} as Job;

it('quotes for a shell', () => {
  expect(quote('plain')).toBe('plain');
  expect(quote("it's")).toBe(`'it'\\''s'`);
  expect(quote('')).toBe("''");
});

it('writes commands that submit the same job', () => {
  const server = 'http://127.0.0.1:8080';
  expect(asCommand(job, server)).toBe(
    `potluck submit nqueens --server ${server} --params '{"n":8}' --policy strict:2 --title 'Ada'\\''s job'`,
  );
  expect(asCurl(job, server)).toContain(`-d '{"program":"nqueens","title":"Ada'\\''s job","params":{"n":8}`);
});

it('names downloads', () => {
  expect(fileName(job, 'image/png')).toBe('ada-s-job.png');
  expect(fileName(job, 'text/csv; charset=utf-8', 'tasks')).toBe('ada-s-job-tasks.csv');
  expect(fileName({ ...job, title: '!' }, 'x/y')).toBe('j1.bin');
});
