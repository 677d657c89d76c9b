import type { Job, NewJob } from '../api/client';

/**
 * What a job is made of beside its program: what a form starts from, what a link to it carries, and
 * what commands say.
 */
export interface Wanted {
  /** As JSON, so that no digit of a number is lost. */
  params?: string;
  args?: string[];
  collect?: NewJob['collect'];
  split?: string;
  /** The job whose inputs are to be taken. */
  job?: string;
  policy?: string;
  priority?: number;
  /** Only if it is not the usual: to fail. */
  onError?: 'skip';
  title?: string;
}

/** What it takes to submit a job again. */
export function wantedOf(job: Job): Wanted {
  const { args, collect, policy, priority, title } = job;
  const plain = !job.program;
  const split = job.split === 'job' ? undefined : job.split; // cut by nobody: another program made them
  const copied = job.split !== undefined && !job.split.startsWith('range:');
  return {
    params: plain || job.params === undefined ? undefined : JSON.stringify(job.params),
    args,
    collect: plain && collect === 'concat' ? undefined : collect,
    split,
    job: copied ? job.id : undefined,
    policy,
    priority,
    onError: job.on_error === 'skip' ? 'skip' : undefined,
    title,
  };
}

/** As the query of the form's address; what is usual is left out. */
export function toQuery(program: string, wanted: Wanted): URLSearchParams {
  const query = new URLSearchParams({ program });
  if (wanted.params !== undefined) query.set('params', wanted.params);
  for (const arg of wanted.args ?? []) query.append('arg', arg);
  if (wanted.collect) query.set('collect', wanted.collect);
  if (wanted.split) query.set('split', wanted.split);
  if (wanted.job) query.set('job', wanted.job);
  if (wanted.policy) query.set('policy', wanted.policy);
  if (wanted.priority !== undefined && wanted.priority !== 1) query.set('priority', String(wanted.priority));
  if (wanted.onError) query.set('on_error', wanted.onError);
  if (wanted.title) query.set('title', wanted.title);
  return query;
}

export function fromQuery(query: URLSearchParams): Wanted {
  const text = (name: string) => query.get(name) ?? undefined;
  const collect = text('collect');
  const args = query.getAll('arg');
  return {
    params: text('params'),
    args: args.length ? args : undefined,
    collect: collect === 'concat' || collect === 'ndjson' || collect === 'json' ? collect : undefined,
    split: text('split'),
    job: text('job'),
    policy: text('policy'),
    priority: Number(text('priority') ?? 1) || undefined,
    onError: text('on_error') === 'skip' ? 'skip' : undefined,
    title: text('title'),
  };
}

/** The form of a job like this one. The module says exactly which program; a name may be another's by now. */
export function cloneLink(job: Job): string {
  return `/submit?${toQuery(job.module, wantedOf(job)).toString()}`;
}

/** Parameters that stand in a link, if they are any. */
export function paramsOf(text: string | undefined): Record<string, unknown> | undefined {
  try {
    const params: unknown = JSON.parse(text ?? '');
    return typeof params === 'object' ? ((params as Record<string, unknown>) ?? undefined) : undefined;
  } catch {
    return undefined; // none, or a link that was cut off; the defaults will do
  }
}
