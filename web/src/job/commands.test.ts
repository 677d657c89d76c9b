import { expect, it } from 'vitest';
import type { Job } from '../api/client';
import { asCommand, asCurl, verifyCommand, fileName, quote } from './commands';

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

const server = 'http://127.0.0.1:8080';

/** What curl would send. */
function bodyOf(curl: string): unknown {
  const [, body = ''] = / -d '(.*)'$/.exec(curl) ?? [];
  return JSON.parse(body.replaceAll(`'\\''`, "'"));
}

it('writes commands that submit the same job', () => {
  expect(asCommand(job, 'nqueens', server)).toBe(
    `potluck submit nqueens --server ${server} --params '{"n":8}' --policy strict:2 --title 'Ada'\\''s job'`,
  );
  expect(asCurl(job, 'nqueens', server, true)).toContain('-H "Authorization: Bearer $POTLUCK_TOKEN"');
  expect(bodyOf(asCurl(job, 'nqueens', server))).toEqual({
    program: 'nqueens',
    title: "Ada's job",
    params: { n: 8 },
    policy: 'strict:2',
    priority: 1,
  });
});

it('writes commands for jobs with arguments and an input', () => {
  const plain: Job = {
    ...job,
    program: '',
    params: {},
    args: ['-v', 'two words', ''],
    collect: 'ndjson',
    split: 'lines:7',
    policy: 'trusted',
    priority: 2,
    on_error: 'skip',
    title: 'echo',
  };
  expect(asCommand(plain, 'abc', server)).toBe(
    `potluck submit abc --server ${server} --arg -v --arg 'two words' --arg '' --input-of j1 --collect ndjson --policy trusted --priority 2 --on-error skip --title echo`,
  );
  expect(bodyOf(asCurl(plain, 'abc', server))).toEqual({
    program: 'abc',
    title: 'echo',
    args: ['-v', 'two words', ''],
    collect: 'ndjson',
    policy: 'trusted',
    on_error: 'skip',
    priority: 2,
    input: { job: 'j1' },
  });
  const range: Job = { ...plain, args: undefined, collect: 'concat', split: 'range:1:9', priority: 1 };
  expect(asCommand(range, 'abc', server)).toBe(
    `potluck submit abc --server ${server} --split range:1:9 --policy trusted --on-error skip --title echo`,
  );
  expect(bodyOf(asCurl(range, 'abc', server))).toMatchObject({ input: { split: 'range:1:9' } });
});

it('writes the command that verifies', () => {
  expect(verifyCommand(job, server)).toBe(`potluck verify --server ${server} --job ${job.id} --sample 20`);
});

it('names downloads', () => {
  expect(fileName(job, 'image/png')).toBe('ada-s-job.png');
  expect(fileName(job, 'text/csv; charset=utf-8', 'tasks')).toBe('ada-s-job-tasks.csv');
  expect(fileName({ ...job, title: '!' }, 'x/y')).toBe('j1.bin');
});
