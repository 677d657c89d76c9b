import { api, take, type Session } from '../api/client';
import { Load } from '../api/load.svelte';

/** Whom the grid takes this browser for. */
class Me {
  private readonly load = new Load<Session>(() => take(api.GET('/session')));
  private asked = false;

  /** Nothing until the grid has answered. */
  get session(): Session | undefined {
    return this.load.data;
  }

  /** Asks the grid, once; later only when there is a reason to. */
  start(): void {
    if (this.asked) return;
    this.asked = true;
    api.use({
      onResponse: ({ response }) => {
        // The token was revoked, or has expired.
        if (response.status === 401 && this.session?.id) void this.load.run();
      },
    });
    void this.load.run();
  }

  async login(token: string): Promise<void> {
    this.load.data = await take(api.POST('/session', { body: { token } }));
  }

  async logout(): Promise<void> {
    await take(api.DELETE('/session'));
    await this.load.run();
  }
}

export const me = new Me();
