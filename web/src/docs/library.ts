// The repository's documents, each a file of its own that is loaded when it is read.

export interface Document {
  title: string;
  html: string;
  headings: { id: string; text: string; level: number }[];
}

const files = import.meta.glob<Document>('../../../docs/*.md');

/** What the documents are about, in the order in which one would read them. Others come after these. */
const about: Record<string, [title: string, summary: string]> = {
  programs: [
    'Writing programs',
    'What a task’s program gets and answers; plain programs, map and reduce, determinism',
  ],
  protocol: ['The protocol and the API', 'What workers, submitters and the grid say to each other'],
  architecture: ['Architecture', 'A task’s way through the grid, and which part does what'],
  operations: [
    'Running a grid',
    'Flags, limits, backups, a reverse proxy, headless runners, the command line',
  ],
  security: [
    'Security and trust',
    'Who can do what to whom, whose word counts, what is promised and what is not',
  ],
  rationale: ['Why it is built this way', 'One paragraph for each decision, with what was rejected'],
};

export interface Entry {
  name: string;
  title: string;
  summary: string;
}

export const entries: Entry[] = Object.keys(files)
  .map((path) => path.replace(/^.*\/|\.md$/g, ''))
  .sort((a, b) => rank(a) - rank(b) || a.localeCompare(b))
  .map((name) => ({ name, title: about[name]?.[0] ?? name, summary: about[name]?.[1] ?? '' }));

function rank(name: string): number {
  const place = Object.keys(about).indexOf(name);
  return place < 0 ? Infinity : place;
}

/** A document by its name; undefined if there is none. */
export function open(name: string): Promise<Document> | undefined {
  return files[`../../../docs/${name}.md`]?.();
}
