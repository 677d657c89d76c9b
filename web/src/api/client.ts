import createClient from 'openapi-fetch';
import type { components, paths } from './schema.gen';

type Schemas = components['schemas'];
export type Job = Schemas['Job'];
export type JobState = Schemas['JobState'];
export type JobAction = Schemas['JobAction'];
export type Task = Schemas['Task'];
export type TaskPage = Schemas['TaskPage'];
export type Tiles = Schemas['Tiles'];
export type Program = Schemas['Program'];
export type Module = Schemas['Module'];
export type NewJob = Schemas['NewJob'];
export type Session = Schemas['Session'];
export type Preview = Schemas['Preview'];
export type Grid = Schemas['Grid'];
export type Sample = Schemas['Sample'];
export type List = Schemas['List'];
export type FieldProblem = Schemas['FieldProblem'];

export const base = '/api/v1';

export const api = createClient<paths>({ baseUrl: base });

/** What went wrong, in words for a person. */
export class ApiError extends Error {
  constructor(
    message: string,
    /** HTTP status; 0 when there was no answer at all. */
    readonly status: number,
    readonly requestId = '',
    readonly fields: FieldProblem[] = [],
  ) {
    super(message);
  }
}

interface Answer<T> {
  data?: T;
  error?: unknown;
  response: Response;
}

/** The data of an answer, or an ApiError. */
export async function take<T>(answer: Promise<Answer<T>>): Promise<T> {
  let got: Answer<T>;
  try {
    got = await answer;
  } catch (cause) {
    throw unreachable(cause);
  }
  if (!got.response.ok) throw problem(got.response, got.error);
  return got.data as T;
}

/** A page of a job's tasks. The description has three media types there; this asks for JSON. */
export function takeTasks(
  id: string,
  query: { all?: boolean; cursor?: string; limit: number },
): Promise<TaskPage> {
  return take(api.GET('/jobs/{id}/tasks', { params: { path: { id }, query } })) as Promise<TaskPage>;
}

/** Fetches something that is not JSON; anything but success is an ApiError. */
export async function fetchRaw(path: string, init?: RequestInit): Promise<Response> {
  let response: Response;
  try {
    response = await fetch(base + path, init);
  } catch (cause) {
    throw unreachable(cause);
  }
  if (response.ok || response.status === 304) return response;
  const body: unknown = await response.json().catch(() => undefined);
  throw problem(response, body);
}

function unreachable(cause: unknown): Error {
  if (cause instanceof DOMException && cause.name === 'AbortError') return cause;
  return new ApiError('The grid cannot be reached. Is the network up?', 0);
}

/** An answer that is not a success, as an error. */
export function problem(response: { status: number }, body: unknown): ApiError {
  const said = (typeof body === 'object' && body !== null ? body : {}) as Partial<Schemas['Problem']>;
  const message = said.detail || said.title || `The grid answered with status ${response.status}.`;
  return new ApiError(message, response.status, said.request_id, said.errors);
}

export function asError(cause: unknown): ApiError {
  if (cause instanceof ApiError) return cause;
  return new ApiError(cause instanceof Error ? cause.message : String(cause), 0);
}
