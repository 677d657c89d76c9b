export type Pressure = 'nominal' | 'fair' | 'serious' | 'critical';

const levels: readonly Pressure[] = ['nominal', 'fair', 'serious', 'critical'];
const calmFor = 15_000;

/** Above this share of the machine our own work alone looks like a machine that is full. */
export const tooMuchToTell = 0.85;

/**
 * Whether others need the machine. The browser tells only how busy all of it is, our own work included: what
 * we ask for is taken into account, and after a pause calm has to last for a while, or it would flap.
 */
export class Busy {
  private pausing = false;
  private calmSince: number | undefined;

  /** Own is the share of the whole machine that we may use, from 0 to 1; now is in milliseconds. */
  judge(pressure: Pressure, own: number, now: number): boolean {
    const level = levels.indexOf(pressure);
    if (!this.pausing) {
      const limit = own < 0.3 ? 2 : 3;
      this.pausing = own < tooMuchToTell && level >= limit;
      this.calmSince = undefined;
    } else if (level > 1) {
      this.calmSince = undefined;
    } else {
      this.calmSince ??= now;
      this.pausing = now - this.calmSince < calmFor;
    }
    return this.pausing;
  }
}
