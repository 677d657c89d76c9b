import { createSubscriber } from 'svelte/reactivity';

/** The time, for whoever shows how long ago something was: it moves on every so many milliseconds while somebody looks. */
export class Clock {
  private subscribe: () => void;

  constructor(every: number) {
    this.subscribe = createSubscriber((update) => {
      const timer = setInterval(update, every);
      return () => clearInterval(timer);
    });
  }

  get now(): number {
    this.subscribe();
    return Date.now();
  }
}
