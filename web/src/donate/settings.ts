/** What a volunteer chose. It stays in this browser. */
export interface Settings {
  cores: number;
  /** Share of each core's time, in percent. */
  share: number;
  name: string;
  team: string;
  /**
   * Pause on battery, while others need the machine, and while the browser saves data. How busy the machine is
   * cannot be told apart from our own work for certain, so that is for who asks for it.
   */
  battery: boolean;
  busy: boolean;
  saver: boolean;
  awake: boolean;
}

export const longestName = 40;
export const leastShare = 10;
const key = 'potluck.donate';

export function defaults(cores: number): Settings {
  return {
    cores: Math.max(1, Math.floor(cores / 2)),
    share: 100,
    name: '',
    team: '',
    battery: true,
    busy: false,
    saver: true,
    awake: false,
  };
}

/** What was saved, as far as it makes sense on a machine with so many cores. */
export function load(store: Storage | undefined, cores: number): Settings {
  const settings = defaults(cores);
  let saved: unknown;
  try {
    saved = JSON.parse(store?.getItem(key) ?? 'null');
  } catch {
    return settings;
  }
  if (typeof saved !== 'object' || saved === null) return settings;
  const had = saved as Record<string, unknown>;
  settings.cores = within(had.cores, 1, Math.max(1, cores), settings.cores);
  settings.share = within(had.share, leastShare, 100, settings.share);
  for (const text of ['name', 'team'] as const) {
    const value = had[text];
    if (typeof value === 'string') settings[text] = value.slice(0, longestName);
  }
  for (const flag of ['battery', 'busy', 'saver', 'awake'] as const) {
    const value = had[flag];
    if (typeof value === 'boolean') settings[flag] = value;
  }
  return settings;
}

/** What of a name the grid takes: without the characters that nobody sees, which come along when one is pasted.
 * Two that join letters and pictures stay. */
export function visible(name: string): string {
  return name.replace(/(?![\u200c\u200d])[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]/gu, '').trim();
}

export function save(store: Storage | undefined, settings: Settings): void {
  try {
    store?.setItem(key, JSON.stringify(settings));
  } catch {
    // Storage may be full or forbidden; the settings then last as long as the page.
  }
}

function within(value: unknown, least: number, most: number, otherwise: number): number {
  if (typeof value !== 'number' || !Number.isFinite(value)) return otherwise;
  return Math.min(most, Math.max(least, Math.round(value)));
}
