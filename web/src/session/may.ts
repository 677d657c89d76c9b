import type { Job, Module, Session } from '../api/client';

// What the grid would say to somebody who tried, said before they do. Of a session that is not known
// yet nothing is said: the grid itself has the last word.

/** Why they may submit nothing at all; empty if they may. */
export function whyNotSubmit(session: Session | undefined): string {
  if (session?.role === 'anonymous' && !session.anonymous)
    return 'This grid takes jobs only from those whom it knows.';
  return '';
}

/** Why they may not send programs of their own, nor files. */
export function whyNotUpload(session: Session | undefined): string {
  if (whyNotSubmit(session)) return whyNotSubmit(session);
  if (session?.role === 'anonymous')
    return 'Without logging in only built-in and approved programs may run here, on what fits in the form.';
  return '';
}

/** Why they may not run a program. */
export function whyNotRun(session: Session | undefined, module: Module | undefined): string {
  if (whyNotSubmit(session)) return whyNotSubmit(session);
  if (session?.role === 'anonymous' && module && !module.approved)
    return 'Nobody approved this program yet, and without logging in only approved ones may run here.';
  return '';
}

/** Why they may not change a job. */
export function whyNotChange(session: Session | undefined, job: Job): string {
  if (!session || session.role === 'admin') return '';
  if (session.role === 'submitter' && job.owner === session.id) return '';
  if (session.role === 'submitter')
    return 'Somebody else submitted this job: only they and admins may change it.';
  return 'Only who submitted this job may change it, once logged in.';
}

/** Who they are, in a word or two; empty for a stranger. */
export function nameOf(session: Session | undefined): string {
  if (!session?.id) return '';
  return session.name || `${session.role} ${session.id}`;
}

/** Where to go after the login: another page of this interface, whatever the address says. */
export function nextOf(query: URLSearchParams, here: string): string {
  const next = query.get('next') ?? '';
  try {
    const url = new URL(next, here);
    const ours = url.origin === new URL(here).origin && next.startsWith('/') && url.pathname !== '/login';
    return ours ? url.pathname + url.search + url.hash : '';
  } catch {
    return '';
  }
}

/** The address of the login, from which one comes back. */
export function loginLink(from: { pathname: string; search: string }): string {
  if (from.pathname === '/login' || from.pathname === '/') return '/login';
  return `/login?next=${encodeURIComponent(from.pathname + from.search)}`;
}
