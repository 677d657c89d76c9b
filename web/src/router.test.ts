import { describe, expect, it } from 'vitest';
import { match } from './router.svelte';
import { notFound } from './routes';

describe('match', () => {
  it('finds the page of a path, with or without a slash at the end', () => {
    expect(match('/').route.title).toBe('Donate');
    expect(match('/jobs').route.title).toBe('Jobs');
    expect(match('/jobs/').route.title).toBe('Jobs');
  });

  it('names the parts of a path', () => {
    expect(match('/jobs/a%20b')).toMatchObject({ route: { title: 'Job' }, params: { id: 'a b' } });
  });

  it('does not find what is not there', () => {
    expect(match('/jobs/1/2').route).toBe(notFound);
    expect(match('/nowhere').route).toBe(notFound);
  });

  it('survives a stray percent sign', () => {
    expect(match('/jobs/100%').params).toEqual({ id: '100%' });
  });
});
