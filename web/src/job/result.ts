import { fetchRaw } from '../api/client';

/** Of text, no more than this is shown. */
export const mostText = 100_000;

export interface Shown {
  etag: string;
  bytes: Blob;
  /** More than is shown. */
  cut: boolean;
}

/**
 * The result as far as it is. 'same' if it is still the one that has the ETag, 'nothing' as long as
 * no task is done.
 */
export async function fetchResult(
  id: string,
  options: { etag?: string; most: number; signal: AbortSignal },
): Promise<Shown | 'same' | 'nothing'> {
  const headers: HeadersInit = options.etag ? { 'If-None-Match': options.etag } : {};
  const path = `/jobs/${encodeURIComponent(id)}/result?partial=true`;
  const response = await fetchRaw(path, { headers, signal: options.signal });
  if (response.status === 304) return 'same';
  if (response.status === 204) return 'nothing';
  const { bytes, cut } = await upTo(response, options.most);
  return { etag: response.headers.get('ETag') ?? '', bytes, cut };
}

/** The first bytes of an answer; the rest is not fetched. */
async function upTo(response: Response, most: number): Promise<{ bytes: Blob; cut: boolean }> {
  const type = response.headers.get('Content-Type') ?? '';
  const parts: BlobPart[] = [];
  let left = most;
  const reader = response.body?.getReader();
  for (;;) {
    const chunk = await reader?.read();
    if (!chunk?.value) return { bytes: new Blob(parts, { type }), cut: false };
    parts.push(chunk.value.slice(0, left));
    left -= chunk.value.length;
    if (left >= 0) continue;
    await reader?.cancel();
    return { bytes: new Blob(parts, { type }), cut: true };
  }
}

/** Bytes as text, if that is what they are. What was cut may end within a character. */
export function textOf(bytes: ArrayBuffer, cut: boolean): string | undefined {
  try {
    const text = new TextDecoder('utf-8', { fatal: true }).decode(bytes, { stream: cut });
    // eslint-disable-next-line no-control-regex -- exactly these tell data from text
    return /[\0-\x08\x0e-\x1a]/.test(text) ? undefined : text;
  } catch {
    return undefined;
  }
}

export type Formatted = { kind: 'text'; text: string } | { kind: 'table'; rows: string[][] };

/** Text the way it is read best: JSON indented, CSV as a table. What was cut stays as it is. */
export function format(text: string, media: string, cut: boolean): Formatted {
  if (media.startsWith('application/json') && !cut && exact(text)) {
    try {
      return { kind: 'text', text: JSON.stringify(JSON.parse(text), null, 2) };
    } catch {
      return { kind: 'text', text };
    }
  }
  if (media.startsWith('text/csv')) return { kind: 'table', rows: csv(text) };
  return { kind: 'text', text };
}

/** The rows of a CSV text (RFC 4180). */
export function csv(text: string): string[][] {
  const rows: string[][] = [];
  let row: string[] = [];
  const cell = /("(?:[^"]|"")*"|(?!")[^,\r\n]*)(,|\r?\n|$)/y;
  while (cell.lastIndex < text.length) {
    const found = cell.exec(text);
    if (!found) return rows; // cut within quotes
    const [, value = '', end] = found;
    row.push(value.startsWith('"') ? value.slice(1, -1).replaceAll('""', '"') : value);
    if (end === ',') {
      if (cell.lastIndex < text.length) continue;
      row.push('');
    }
    rows.push(row);
    row = [];
  }
  return rows;
}

/** Whether no number is so long that parsing would cost it digits. */
function exact(text: string): boolean {
  return !/\d{16}/.test(text);
}
