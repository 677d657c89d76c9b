import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { Marked, type Tokens } from 'marked';
import type { Plugin } from 'vite';

export interface Heading {
  id: string;
  text: string;
  level: number;
}

/** A piece of the page: HTML, or the path of a file whose address belongs there. */
type Piece = string | { file: string };

/** Makes modules of the repository's Markdown: HTML, title and headings, ready when the page is built. */
export function docs(): Plugin {
  return {
    name: 'docs',
    enforce: 'pre',
    transform(markdown, id) {
      const path = id.split('?')[0] ?? id;
      if (!path.endsWith('.md') || id.includes('?')) return;
      const exists = (file: string) => existsSync(file);
      const { title, headings, pieces } = render(markdown, dirname(path), exists);
      return { code: moduleOf(title, headings, pieces), map: null };
    },
  };
}

function moduleOf(title: string, headings: Heading[], pieces: Piece[]): string {
  const imports: string[] = [];
  const parts = pieces.map((piece) => {
    if (typeof piece === 'string') return JSON.stringify(piece);
    imports.push(`import file${imports.length} from ${JSON.stringify(`${piece.file}?url`)};`);
    return `file${imports.length - 1}`;
  });
  return [
    ...imports,
    `export const title = ${JSON.stringify(title)};`,
    `export const headings = ${JSON.stringify(headings)};`,
    `export const html = ${parts.join(' + ') || '""'};`,
  ].join('\n');
}

/** Renders a document that lies in a folder. Exported for its test. */
export function render(markdown: string, folder: string, exists: (file: string) => boolean) {
  const headings: Heading[] = [];
  const files: string[] = [];
  const ids = new Set<string>();
  let title = '';
  let tables = 0;

  const address = (href: string): string | undefined => {
    if (/^([a-z]+:|#|\/)/i.test(href)) return href;
    const [path = '', hash] = href.split('#');
    const other = /^([\w-]+)\.md$/.exec(path)?.[1];
    if (other) return `/docs/${other}${hash ? `#${hash}` : ''}`;
    const file = resolve(folder, path);
    if (!exists(file)) return undefined;
    files.push(file);
    return `\u0000${files.length - 1}\u0000`;
  };

  const marked = new Marked({
    gfm: true,
    renderer: {
      heading({ tokens, depth }: Tokens.Heading) {
        const inner = this.parser.parseInline(tokens);
        const text = plain(inner);
        if (depth === 1 && !title) {
          title = text;
          return ''; // the page shows it itself
        }
        const id = unique(slug(text), ids);
        headings.push({ id, text, level: depth });
        return `<h${depth} id="${id}">${inner} <a class="anchor" href="#${id}" aria-label="Link to “${escape(text)}”">#</a></h${depth}>\n`;
      },
      link({ href, tokens }: Tokens.Link) {
        const inner = this.parser.parseInline(tokens);
        const to = address(href);
        if (to === undefined) return inner;
        const kind = /^[a-z]+:/i.test(to)
          ? ' rel="noopener noreferrer"'
          : to.startsWith('\u0000')
            ? ' download'
            : '';
        return `<a href="${escape(to)}"${kind}>${inner}</a>`;
      },
      image({ href, text }: Tokens.Image) {
        // Only our own pictures: the page's policy has no others.
        const to = /^[a-z]+:/i.test(href) ? undefined : address(href);
        return to === undefined
          ? escape(text)
          : `<img src="${escape(to)}" alt="${escape(text)}" loading="lazy">`;
      },
      table(token: Tokens.Table) {
        tables++;
        const section = headings.at(-1)?.text ?? title;
        const row = (cells: Tokens.TableCell[], head: boolean) =>
          `<tr>${cells.map((cell) => cellOf(this.parser.parseInline(cell.tokens), head)).join('')}</tr>`;
        const body = token.rows.map((cells) => row(cells, false)).join('');
        const name = escape(`Table ${tables}, ${section}`);
        return `<div class="scroll" tabindex="0" role="region" aria-label="${name}"><table><thead>${row(token.header, true)}</thead><tbody>${body}</tbody></table></div>\n`;
      },
      code({ text }: Tokens.Code) {
        return `<div class="code"><pre tabindex="0"><code>${escape(text)}</code></pre></div>\n`;
      },
      html({ text }: Tokens.HTML | Tokens.Tag) {
        return escape(text);
      },
    },
  });
  const html = marked.parse(markdown, { async: false });
  const pieces: Piece[] = html
    .split('\u0000')
    .map((piece, i) => (i % 2 === 0 ? piece : { file: files[Number(piece)] ?? '' }));
  return { title, headings, pieces };
}

/** A cell. One in the head that says nothing heads nothing. */
function cellOf(inner: string, head: boolean): string {
  return head && inner !== '' ? `<th scope="col">${inner}</th>` : `<td>${inner}</td>`;
}

/** The id that GitHub gives a heading, so that the same links work in both places. */
export function slug(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}\s_-]/gu, '')
    .trim()
    .replace(/\s/g, '-');
}

function unique(id: string, taken: Set<string>): string {
  let candidate = id;
  for (let n = 1; taken.has(candidate); n++) candidate = `${id}-${n}`;
  taken.add(candidate);
  return candidate;
}

function plain(html: string): string {
  return html
    .replace(/<[^>]*>/g, '')
    .replaceAll('&lt;', '<')
    .replaceAll('&gt;', '>')
    .replaceAll('&quot;', '"')
    .replaceAll('&#39;', "'")
    .replaceAll('&amp;', '&');
}

function escape(text: string): string {
  return text
    .replaceAll('&', '&amp;')
    .replaceAll('<', '&lt;')
    .replaceAll('>', '&gt;')
    .replaceAll('"', '&quot;');
}
