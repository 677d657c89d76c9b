import {
  api,
  asError,
  take,
  type ApiError,
  type Job,
  type Module,
  type NewJob,
  type Preview,
  type Program,
} from '../api/client';
import { upload } from '../api/upload';
import { encodeAll, fieldsOf, valuesOf, type Field, type Value, type Values } from './schema';
import { splitOf, splitterOf, type InputKind, type Splitter } from './split';
import { paramsOf, type Wanted } from './wanted';

/** What a job is made of: a program that describes itself, or a plain one. */
export interface Target {
  /** Name of a program, or id of a module. */
  id: string;
  title: string;
  program?: Program;
  /** Runs as it is, on arguments and an input. */
  plain: boolean;
}

export function targetOf(program: Program): Target {
  return { id: program.name, title: program.title, program, plain: false };
}

export function targetOfModule(module: Module, fileName: string): Target {
  const { id, program } = module;
  return { id, title: program?.title ?? fileName, program, plain: module.plain };
}

/** Text up to this goes with the job; more goes ahead of it, since the API takes 64 KiB of JSON. */
const largestText = 48 * 1024;

/** A job that is being written. It survives a failed try. */
/** How sure a result must be. */
export type Trust = 'adaptive' | 'strict' | 'trusted';

export class Draft {
  readonly target: Target;
  readonly fields: Field[];
  readonly takesInput: boolean;
  /** Where an input may come from. */
  readonly inputs: InputKind[];
  /** The job whose input may be taken again. */
  readonly job: string;
  /** Whether there is something to choose about the outputs. */
  readonly collects: boolean;

  values = $state<Values>({});
  title = $state('');
  /** The trust policy's kind; the grid's usual one if it is not chosen. */
  trust = $state<'' | Trust>('');
  votes = $state('2');
  priority = $state('1');
  /** What a task that the program fails at does to the job: '' fails it. */
  onError = $state<'' | 'skip'>('');
  args = $state('');
  collect = $state<'' | NonNullable<NewJob['collect']>>('');
  input = $state<InputKind>('text');
  text = $state('');
  file = $state.raw<File>();
  splitter = $state<Splitter>(splitterOf());

  /** What is wrong, by the id of the control. */
  errors = $state.raw<Record<string, string>>({});
  /** What is wrong with the whole. */
  failure = $state.raw<ApiError>();
  busy = $state<'' | 'preview' | 'create'>('');
  /** Share of the input that has been sent, while it is. */
  sent = $state<number>();
  preview = $state.raw<Preview>();

  private sentFile: { file: Blob; id: string } | undefined;
  private key = { body: '', id: '' };
  private given: { text: string; args: string[] };

  constructor(target: Target, wanted: Wanted = {}) {
    this.target = target;
    this.fields = fieldsOf(target.program?.parameters);
    this.takesInput = target.plain || (target.program?.takes_input ?? false);
    this.job = wanted.job ?? '';
    const range = wanted.split?.startsWith('range:') ?? false;
    this.inputs = inputsOf(this.job !== '', target.plain || range);
    this.collects = target.plain || wanted.collect !== undefined;
    this.fill(paramsOf(wanted.params));
    this.args = wanted.args?.join('\n') ?? '';
    this.given = { text: this.args, args: wanted.args ?? [] };
    this.collect = target.plain && wanted.collect === 'concat' ? '' : (wanted.collect ?? '');
    this.input = this.job ? 'job' : range ? 'range' : 'text';
    this.splitter = splitterOf(wanted.split);
    // For a plain program it is the usual one, and listed as that.
    if (target.plain && this.splitter.by === 'lines') this.splitter.by = 'default';
    const [kind, votes] = (wanted.policy ?? '').split(':');
    if (kind === 'trusted' || kind === 'adaptive' || kind === 'strict') this.trust = kind;
    if (votes) this.votes = votes;
    this.priority = String(wanted.priority ?? 1);
    this.onError = wanted.onError ?? '';
    this.title = wanted.title ?? '';
  }

  /** What stands in the form, for a link to it; undefined as long as parameters are wrong. */
  get wanted(): Wanted | undefined {
    const params = this.params;
    if (params === undefined) return undefined;
    const again = this.takesInput && this.input === 'job';
    return {
      params: this.fields.length ? params : undefined,
      args: this.argList.length ? this.argList : undefined,
      collect: this.collect || undefined,
      split: this.takesInput ? splitOf(again ? 'text' : this.input, this.splitter).split : undefined,
      job: again ? this.job : undefined,
      policy: this.policy,
      priority: Number(this.priority) || undefined,
      onError: this.onError || undefined,
      title: this.title.trim() || undefined,
    };
  }

  /** One a line; those of a job to begin with as they are, for they may have lines themselves. */
  private get argList(): string[] {
    if (!this.target.plain) return [];
    return this.args === this.given.text
      ? this.given.args
      : this.args.split('\n').filter((arg) => arg !== '');
  }

  private get policy(): string | undefined {
    return this.trust === 'strict' ? `strict:${this.votes.trim()}` : this.trust || undefined;
  }

  fill(params?: Record<string, unknown>): void {
    this.values = valuesOf(this.fields, params);
    this.touched();
  }

  set(name: string, value: Value): void {
    this.values[name] = value;
    this.touched();
  }

  /** The numbers of a preview are those of another job once anything changes. */
  touched(): void {
    this.preview = undefined;
  }

  /** The parameters as JSON, if nothing is wrong with them. */
  get params(): string | undefined {
    const { json, errors } = encodeAll(this.fields, this.values);
    return Object.keys(errors).length ? undefined : json;
  }

  async look(): Promise<void> {
    await this.try('preview', async (body) => {
      this.preview = await take(
        api.POST('/jobs/preview', { body: {} as NewJob, bodySerializer: () => body }),
      );
    });
  }

  async create(): Promise<Job | undefined> {
    let job: Job | undefined;
    await this.try('create', async (body) => {
      // The same body again, after a broken connection, must not be a second job.
      if (this.key.body !== body) this.key = { body, id: crypto.randomUUID() };
      job = await take(
        api.POST('/jobs', {
          params: { header: { 'Idempotency-Key': this.key.id } },
          body: {} as NewJob,
          bodySerializer: () => body,
        }),
      );
    });
    return job;
  }

  private async try(what: 'preview' | 'create', act: (body: string) => Promise<void>): Promise<void> {
    this.failure = undefined;
    this.errors = this.check();
    if (Object.keys(this.errors).length) return;
    this.busy = what;
    try {
      await act(await this.body());
    } catch (cause) {
      this.refused(asError(cause));
    } finally {
      this.busy = '';
      this.sent = undefined;
    }
  }

  private check(): Record<string, string> {
    const errors: Record<string, string> = {};
    const { errors: params } = encodeAll(this.fields, this.values);
    for (const [name, error] of Object.entries(params)) errors[`params-${name}`] = error;
    if (this.takesInput) Object.assign(errors, this.checkInput());
    if (this.trust === 'strict' && !/^([2-9]|1[0-5])$/.test(this.votes.trim()))
      errors.votes = 'A whole number from 2 to 15.';
    const priority = Number(this.priority);
    if (!(priority >= 0.01 && priority <= 100)) errors.priority = 'A number from 0.01 to 100.';
    return errors;
  }

  private checkInput(): Record<string, string> {
    const errors: Record<string, string> = {};
    if (this.input === 'text' && this.text === '') errors['input-text'] = 'Type or paste some text.';
    if (this.input === 'file' && !this.file) errors['input-file'] = 'Choose a file.';
    const split = splitOf(this.input, this.splitter);
    if (split.error) errors[`input-${split.at}`] = split.error;
    return errors;
  }

  /** The request's body. Parameters go in as the text they are, so that no digit is lost. */
  private async body(): Promise<string> {
    const job: NewJob = { program: this.target.id };
    // Of a plain program the grid knows no name; the file's is better than none.
    const title = this.title.trim() || (this.target.plain ? this.target.title.slice(0, 120) : '');
    if (title) job.title = title;
    if (this.takesInput) job.input = await this.inputOf();
    if (this.argList.length) job.args = this.argList;
    if (this.collect) job.collect = this.collect;
    if (this.policy) job.policy = this.policy;
    if (Number(this.priority) !== 1) job.priority = Number(this.priority);
    if (this.onError) job.on_error = this.onError;
    const rest = JSON.stringify(job);
    return this.fields.length ? `${rest.slice(0, -1)},"params":${this.params ?? '{}'}}` : rest;
  }

  private async inputOf(): Promise<NonNullable<NewJob['input']>> {
    if (this.input === 'job') return { job: this.job };
    const { split } = splitOf(this.input, this.splitter);
    if (this.input === 'range') return { split };
    const blob = this.input === 'file' ? this.file! : new Blob([this.text]);
    if (this.input === 'text' && blob.size <= largestText) return { text: this.text, split };
    return { upload: await this.send(blob), split };
  }

  /** Sends an input ahead; not twice the same file. */
  private async send(blob: Blob): Promise<string> {
    if (this.sentFile?.file === blob) return this.sentFile.id;
    this.sent = 0;
    const { id } = await upload<{ id: string }>('/inputs', blob, 'application/octet-stream', (share) => {
      this.sent = share;
    });
    this.sentFile = { file: blob, id };
    return id;
  }

  private refused(error: ApiError): void {
    const { here, rest } = placeErrors(error, this.fields, this.input);
    this.errors = here;
    if (rest || Object.keys(here).length === 0) this.failure = error;
  }
}

function inputsOf(again: boolean, range: boolean): InputKind[] {
  return [...(again ? ['job' as const] : []), 'text', 'file', ...(range ? ['range' as const] : [])];
}

/** The server's complaints by control; `rest` says that some belong to none. */
export function placeErrors(
  error: ApiError,
  fields: Field[],
  input: InputKind,
): { here: Record<string, string>; rest: boolean } {
  const here: Record<string, string> = {};
  let rest = false;
  for (const { field, message } of error.fields) {
    const id = controlOf(field, fields, input);
    if (id) here[id] ??= message;
    else rest = true;
  }
  return { here, rest };
}

/** The control that a JSON Pointer into the request means. */
function controlOf(pointer: string, fields: Field[], input: InputKind): string | undefined {
  const [, first = '', second = ''] = pointer
    .split('/')
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'));
  if (first === 'params')
    return fields.some((field) => field.name === second) ? `params-${second}` : undefined;
  if (first === 'input')
    return second === 'split' && input !== 'range' && input !== 'job' ? 'input-split' : `input-${input}`;
  if (first === 'policy') return 'votes';
  return ['title', 'args', 'collect', 'priority'].includes(first) ? first : undefined;
}
