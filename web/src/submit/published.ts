import type { Module } from '../api/client';

/** A module that was published from this tab, so that a reload still knows what it is. */
export interface Published {
  module: Module;
  fileName: string;
}

const prefix = 'potluck.module.';

export function remember(published: Published): void {
  try {
    sessionStorage.setItem(prefix + published.module.id, JSON.stringify(published));
  } catch {
    // Without storage it is forgotten by a reload, and the file can be chosen again.
  }
}

export function recall(id: string): Published | undefined {
  try {
    const text = sessionStorage.getItem(prefix + id);
    return text === null ? undefined : (JSON.parse(text) as Published);
  } catch {
    return undefined;
  }
}
