/** Says at most one thing in a while; of what comes in between, only the last is said. */
export class Announcer {
  private last = -Infinity;
  private pending: ReturnType<typeof setTimeout> | undefined;

  constructor(
    private say: (text: string) => void,
    private every = 10_000,
    private now: () => number = () => performance.now(),
  ) {}

  tell(text: string): void {
    clearTimeout(this.pending);
    const wait = this.last + this.every - this.now();
    if (wait <= 0) this.speak(text);
    else this.pending = setTimeout(() => this.speak(text), wait);
  }

  stop(): void {
    clearTimeout(this.pending);
  }

  private speak(text: string): void {
    this.last = this.now();
    this.say(text);
  }
}
