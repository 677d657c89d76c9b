import executor from '../executor/executor.ts?worker&url';
import wasm from '../../generated/agent.wasm?url';
import { api, take } from '../api/client';
import { Donor, type Agent } from './donor.svelte';
import { guards } from './guards';
import { hex } from './identity';
import { missing } from './missing';
import { presence } from './presence.svelte';
import { lockSeat } from './seat';
import { storage } from './storage';
import { keepAwake } from './wake';

/** The donor of this tab. Making it starts nothing. */
export const donor = new Donor({
  agent: () =>
    new Worker(new URL('../agent/worker.ts', import.meta.url), {
      type: 'module',
      name: 'potluck agent',
    }) as unknown as Agent,
  server: location.origin,
  wasm: new URL(wasm, location.href).href,
  executor: new URL(executor, location.href).href,
  cores: navigator.hardwareConcurrency || 2,
  missing: missing(),
  seat: lockSeat(),
  guards: guards(),
  erase: async (secret) => {
    await take(api.DELETE('/volunteers/me', { params: { header: { 'Potluck-Secret': hex(secret) } } }));
  },
  awake: 'wakeLock' in navigator ? keepAwake : undefined,
  local: storage('local'),
  session: storage('session'),
});

presence.donor = donor;
addEventListener('pagehide', donor.left);
document.addEventListener('freeze', donor.froze);
document.addEventListener('resume', donor.thawed);
addEventListener('beforeunload', (event) => {
  if (donor.unsaved) event.preventDefault();
});
