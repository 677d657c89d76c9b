declare module '*.md' {
  export const title: string;
  export const html: string;
  export const headings: { id: string; text: string; level: number }[];
}
