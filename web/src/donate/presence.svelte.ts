import type { Donor } from './donor.svelte';

/** What every page may know of the donor without loading it: that this tab computes is never hidden. */
class Presence {
  donor = $state.raw<Donor>();

  /** What it does, in a word or two; empty if it does nothing. */
  get words(): '' | 'computing' | 'paused' | 'waiting' {
    if (!this.donor?.alive) return '';
    const { state } = this.donor;
    if (state === 'paused') return 'paused';
    return state === 'computing' || state === 'finishing' ? 'computing' : 'waiting';
  }
}

export const presence = new Presence();
