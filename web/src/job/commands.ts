import type { Job } from '../api/client';

/** Text as one word of a POSIX shell. */
export function quote(text: string): string {
  return /^[\w./:=@%+-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** A job like this one, on the command line. */
export function asCommand(job: Job, server: string): string {
  const words = ['potluck submit', quote(job.program || job.module), `--server ${quote(server)}`];
  if (job.params !== undefined) words.push(`--params ${quote(JSON.stringify(job.params))}`);
  if (job.policy !== 'trusted') words.push(`--policy ${quote(job.policy)}`);
  if (job.priority !== 1) words.push(`--priority ${job.priority}`);
  if (job.title) words.push(`--title ${quote(job.title)}`);
  return words.join(' ');
}

/** The same with curl. */
export function asCurl(job: Job, server: string): string {
  const { params, policy, priority, title } = job;
  const body = { program: job.program || job.module, title, params, policy, priority };
  return `curl -X POST ${quote(`${server}/api/v1/jobs`)} -H 'Content-Type: application/json' -d ${quote(JSON.stringify(body))}`;
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
