import { asError, type ApiError } from './client';

/** Something that is fetched: what there is of it, and what became of the last try. */
export class Load<T> {
  data = $state.raw<T>();
  error = $state.raw<ApiError>();
  loading = $state(false);
  private latest = 0;
  private source: () => Promise<T>;

  constructor(source: () => Promise<T>) {
    this.source = source;
  }

  /** Whether what is shown is older than it should be. */
  get stale(): boolean {
    return this.data !== undefined && this.error !== undefined;
  }

  /** Fetches again. What was there before stays until then; only the latest call counts. */
  run = async (): Promise<void> => {
    const mine = ++this.latest;
    this.loading = true;
    try {
      const data = await this.source();
      if (mine !== this.latest) return;
      this.data = data;
      this.error = undefined;
    } catch (cause) {
      if (mine === this.latest) this.error = asError(cause);
    } finally {
      if (mine === this.latest) this.loading = false;
    }
  };
}
