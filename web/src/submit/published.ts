const prefix = 'potluck.module.';

/** Notes what the file of a module was called: of a plain program the grid knows no name. */
export function remember(id: string, fileName: string): void {
  try {
    sessionStorage.setItem(prefix + id, fileName);
  } catch {
    // Without storage its id has to do.
  }
}

/** What to call a module. */
export function nameOf(id: string): string {
  try {
    const name = sessionStorage.getItem(prefix + id);
    if (name) return name;
  } catch {
    // the same
  }
  return `Module ${id.slice(0, 12)}`;
}
