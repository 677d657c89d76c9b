import type { Job } from '../api/client';
import { wantedOf } from '../submit/wanted';

/** Text as one word of a POSIX shell. */
export function quote(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A job like this one, on the command line. `program` is a name or the id of the module. */
export function asCommand(job: Job, program: string, server: string): string {
  const wanted = wantedOf(job);
  const words = ['potluck submit', quote(program), `--server ${quote(server)}`];
  const say = (flag: string, value: string | undefined) => {
    if (value) words.push(`--${flag} ${quote(value)}`);
  };
  say('params', wanted.params);
  for (const arg of wanted.args ?? []) words.push(`--arg ${quote(arg)}`);
  say('input-of', wanted.job);
  if (!wanted.job) say('split', wanted.split);
  say('collect', wanted.collect);
  say('policy', wanted.policy);
  if (wanted.priority !== 1) say('priority', String(wanted.priority));
  say('on-error', wanted.onError);
  say('title', wanted.title);
  return words.join(' ');
}

/** Computes some of a job's tasks again, to compare the bytes. */
export function verifyCommand(job: Job, server: string): string {
  return `potluck verify --server ${quote(server)} --job ${quote(job.id)} --sample 20`;
}

/** The same with curl, for one who has a token where `known`. */
export function asCurl(job: Job, program: string, server: string, known = false): string {
  const { params, args, collect, split, job: other, policy, priority, title, onError } = wantedOf(job);
  const input = other ? { job: other } : split ? { split } : undefined;
  const rest = JSON.stringify({ program, title, args, collect, policy, priority, on_error: onError, input });
  const body = params === undefined ? rest : `${rest.slice(0, -1)},"params":${params}}`;
  const who = known ? ` -H "Authorization: Bearer $POTLUCK_TOKEN"` : '';
  return `curl -X POST ${quote(`${server}/api/v1/jobs`)}${who} -H 'Content-Type: application/json' -d ${quote(body)}`;
}

const endings: Record<string, string> = {
  'image/png': 'png',
  'image/jpeg': 'jpg',
  'image/svg+xml': 'svg',
  'application/json': 'json',
  'application/x-ndjson': 'ndjson',
  'text/csv': 'csv',
  'text/plain': 'txt',
};

/** What a download is called. */
export function fileName(job: Job, media: string, what = ''): string {
  const stem = job.title.toLowerCase().replace(/[^\p{L}\p{N}]+/gu, '-').replace(/^-|-$/g, ''); // prettier-ignore
  const ending = endings[media.split(';')[0] ?? ''] ?? 'bin';
  return `${stem || job.id}${what && `-${what}`}.${ending}`;
}
