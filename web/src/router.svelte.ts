import { notFound, routes, type Route } from './routes';

export interface Match {
  route: Route;
  params: Record<string, string>;
}

/** The route for a path. A part that starts with a colon takes any one segment. */
export function match(path: string, table: Route[] = routes): Match {
  const parts = segments(path);
  for (const route of table) {
    const wanted = segments(route.path);
    if (wanted.length !== parts.length) continue;
    const params: Record<string, string> = {};
    const fits = wanted.every((want, i) => {
      const part = parts[i] ?? '';
      if (!want.startsWith(':')) return want === part;
      params[want.slice(1)] = part;
      return true;
    });
    if (fits) return { route, params };
  }
  return { route: notFound, params: {} };
}

function segments(path: string): string[] {
  return path.split('/').filter(Boolean).map(decode);
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part; // a stray percent sign is no reason to fail
  }
}

/** Where the visitor is. Links are ordinary anchors; it takes the clicks on those that stay here. */
class Router {
  url = $state.raw(new URL(globalThis.location?.href ?? 'http://localhost/'));
  /** Says the page's subject better than the route can, such as a job's title. */
  subject = $state('');
  /** Grows with every navigation to another path, so that focus can follow. */
  visits = $state(0);

  readonly path = $derived(this.url.pathname);
  readonly query = $derived(this.url.searchParams);
  readonly current = $derived(match(this.path));

  start(): () => void {
    const back = () => this.arrive();
    const click = (event: MouseEvent) => this.click(event);
    addEventListener('popstate', back);
    document.addEventListener('click', click);
    return () => {
      removeEventListener('popstate', back);
      document.removeEventListener('click', click);
    };
  }

  go(href: string): void {
    history.pushState(null, '', href);
    this.arrive();
    if (!this.url.hash) scrollTo(0, 0);
  }

  /** Notes something in the address, such as a filter, without a step in the history. */
  replace(query: URLSearchParams): void {
    const search = query.toString();
    history.replaceState(null, '', search ? `?${search}` : this.path);
    this.url = new URL(location.href);
  }

  private arrive(): void {
    const before = this.path;
    this.url = new URL(location.href);
    if (this.path === before) return;
    this.subject = '';
    this.visits++;
  }

  private click(event: MouseEvent): void {
    if (event.defaultPrevented || event.button !== 0) return;
    if (event.metaKey || event.ctrlKey || event.shiftKey || event.altKey) return;
    const link = (event.target as Element).closest('a');
    if (!link || !stays(link)) return;
    event.preventDefault();
    this.go(link.href);
  }
}

/** Whether a link leads to another page of this interface. */
function stays(link: HTMLAnchorElement): boolean {
  if (link.target || link.hasAttribute('download') || link.origin !== location.origin) return false;
  if (link.pathname.startsWith('/api/')) return false;
  const samePage = link.pathname === location.pathname && link.search === location.search;
  return !(samePage && link.hash);
}

export const router = new Router();
