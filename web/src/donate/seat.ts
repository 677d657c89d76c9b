const name = 'potluck agent';

export type Leave = () => void;

/** The one place that a browser has at the table: only one tab computes at a time. */
export interface Seat {
  /** Takes it if it is free; what it gives gives it back. */
  take(): Promise<Leave | undefined>;
  /** Takes it as soon as it is free. Rejects when the signal aborts. */
  wait(signal: AbortSignal): Promise<Leave>;
}

/** The seat as a Web Lock, which the browser frees itself when the tab dies. */
export function lockSeat(locks: LockManager | undefined = globalThis.navigator?.locks): Seat {
  // Plain HTTP has no locks. Two tabs then both compute, each with the cores it was given.
  const free: Leave = () => {};
  const request = (options: LockOptions) =>
    new Promise<Leave | undefined>((resolve, reject) => {
      if (!locks) return resolve(free);
      locks
        .request(name, options, (lock) => {
          if (!lock) return resolve(undefined);
          return new Promise<void>((leave) => resolve(leave));
        })
        .catch(reject);
    });
  return {
    take: () => request({ ifAvailable: true }),
    wait: async (signal) => (await request({ signal })) ?? free,
  };
}
