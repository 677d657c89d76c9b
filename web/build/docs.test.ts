import { describe, expect, it } from 'vitest';
import { render, slug } from './docs.ts';

const html = (markdown: string, exists = false) => {
  const { pieces } = render(markdown, '/repo/docs', () => exists);
  return pieces.map((piece) => (typeof piece === 'string' ? piece : `[${piece.file}]`)).join('');
};

describe('render', () => {
  it('takes the first heading as the title, and the others as anchors', () => {
    const { title, headings, pieces } = render(
      '# A `grid`\n\n## One & two\n\n## One & two\n',
      '/',
      () => false,
    );
    expect(title).toBe('A grid');
    expect(headings).toEqual([
      { id: 'one--two', text: 'One & two', level: 2 },
      { id: 'one--two-1', text: 'One & two', level: 2 },
    ]);
    expect(pieces).toHaveLength(1);
    expect(pieces[0]).not.toContain('<h1');
  });

  it('leads from document to document', () => {
    expect(html('[a](protocol.md#large-things)')).toContain('href="/docs/protocol#large-things"');
    expect(html('[a](#here)')).toContain('href="#here"');
    expect(html('[a](https://example.org)')).toContain('rel="noopener noreferrer"');
  });

  it('takes files that exist along, and leaves the words of others', () => {
    expect(html('![The grid](images/grid.svg)', true)).toContain('src="[/repo/docs/images/grid.svg]"');
    expect(html('[it](../server/api.yaml)', true)).toContain('href="[/repo/server/api.yaml]" download');
    expect(html('[it](missing.yaml)')).toBe('<p>it</p>\n');
    expect(html('![far](https://example.org/a.png)', true)).toBe('<p>far</p>\n');
  });

  it('lets no markup of its own through', () => {
    expect(html('<script>alert(1)</script>')).not.toContain('<script');
    expect(html('a <b style="x">b</b>')).not.toContain('<b ');
    expect(html('```\n<i>&\n```')).toContain('&lt;i&gt;&amp;');
  });

  it('puts a table where it can scroll by itself', () => {
    const out = html('| a | b |\n| --- | :-: |\n| 1 | `2` |\n');
    expect(out).toContain('<div class="scroll" tabindex="0"');
    expect(out).toContain('<th scope="col">a</th>');
    expect(out).toContain('<td><code>2</code></td>');
    expect(out).not.toContain('style');
  });
});

describe('slug', () => {
  it('is the one that GitHub uses', () => {
    expect(slug('Refused, and close codes')).toBe('refused-and-close-codes');
    expect(slug('Programs: the module contract')).toBe('programs-the-module-contract');
  });
});
