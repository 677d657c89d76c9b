import type { Component } from 'svelte';

/** What a page gets: the named parts of its path. */
export interface PageProps {
  params: Record<string, string>;
}

/** A page may leave the parts alone. */
export type Page = Component<PageProps> | Component<Record<string, never>>;

export interface Route {
  path: string;
  title: string;
  load: () => Promise<{ default: Page }>;
}

export const routes: Route[] = [
  { path: '/', title: 'Donate', load: () => import('./pages/Donate.svelte') },
  { path: '/submit', title: 'Submit', load: () => import('./pages/Submit.svelte') },
  { path: '/jobs', title: 'Jobs', load: () => import('./pages/Jobs.svelte') },
  { path: '/jobs/:id', title: 'Job', load: () => import('./pages/Job.svelte') },
  { path: '/grid', title: 'Grid', load: () => import('./pages/Grid.svelte') },
  { path: '/leaderboard', title: 'Leaderboard', load: () => import('./pages/Leaderboard.svelte') },
  { path: '/login', title: 'Log in', load: () => import('./pages/Login.svelte') },
  { path: '/docs', title: 'Docs', load: () => import('./pages/Docs.svelte') },
  { path: '/docs/:page', title: 'Docs', load: () => import('./pages/Docs.svelte') },
];

export const notFound: Route = {
  path: '',
  title: 'Not found',
  load: () => import('./pages/NotFound.svelte'),
};
