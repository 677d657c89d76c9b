export type Choice = 'system' | 'light' | 'dark';

const choices: readonly Choice[] = ['system', 'light', 'dark'];
const key = 'potluck.theme';

/** Light or dark: what the system says, unless the visitor chose. */
class Theme {
  choice = $state<Choice>(stored());

  next(): void {
    this.choice = choices[(choices.indexOf(this.choice) + 1) % choices.length] ?? 'system';
    this.apply();
    try {
      localStorage.setItem(key, this.choice);
    } catch {
      // Storage may be forbidden; the choice then lasts as long as the page.
    }
  }

  apply(): void {
    const root = document.documentElement;
    if (this.choice === 'system') delete root.dataset.theme;
    else root.dataset.theme = this.choice;
    const paper = getComputedStyle(root).backgroundColor;
    document.querySelector('meta[name="theme-color"]')?.setAttribute('content', paper);
  }
}

function stored(): Choice {
  try {
    const value = localStorage.getItem(key);
    return choices.find((choice) => choice === value) ?? 'system';
  } catch {
    return 'system';
  }
}

export const theme = new Theme();
