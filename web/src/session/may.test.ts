import { describe, expect, it } from 'vitest';
import type { Job, Module, Session } from '../api/client';
import { loginLink, nameOf, nextOf, whyNotChange, whyNotRun, whyNotSubmit, whyNotUpload } from './may';

const stranger: Session = { role: 'anonymous', open: false, anonymous: true, policy: 'adaptive' };
const shutOut: Session = { ...stranger, anonymous: false, policy: 'adaptive' };
const ada: Session = {
  role: 'submitter',
  open: false,
  anonymous: true,
  policy: 'adaptive',
  id: 'a1',
  name: 'Ada',
};
const admin: Session = { role: 'admin', open: false, anonymous: false, policy: 'adaptive', id: 'b2' };
const here: Session = { role: 'admin', open: true, anonymous: true, policy: 'adaptive' };
const job = (owner?: string) => ({ owner }) as Job;
const module = (approved?: boolean) => ({ approved }) as Module;

describe('what one may', () => {
  it('is nothing that the grid would refuse', () => {
    expect([stranger, ada, admin, here].map(whyNotSubmit)).toEqual(['', '', '', '']);
    expect(whyNotSubmit(shutOut)).toContain('whom it knows');
    expect([ada, admin, here].map(whyNotUpload)).toEqual(['', '', '']);
    expect(whyNotUpload(stranger)).toContain('built-in and approved');
    expect(whyNotUpload(shutOut)).toContain('whom it knows');
  });

  it('depends on whose job it is', () => {
    expect(whyNotChange(ada, job('a1'))).toBe('');
    expect(whyNotChange(ada, job('c3'))).toContain('Somebody else');
    expect(whyNotChange(ada, job())).toContain('Somebody else');
    expect(whyNotChange(stranger, job('anonymous'))).toContain('logged in');
    expect([admin, here].map((one) => whyNotChange(one, job('a1')))).toEqual(['', '']);
  });

  it('depends on what the program is', () => {
    expect(whyNotRun(stranger, module(true))).toBe('');
    expect(whyNotRun(stranger, undefined)).toBe(''); // built in
    expect(whyNotRun(stranger, module())).toContain('approved');
    expect(whyNotRun(ada, module())).toBe('');
    expect(whyNotRun(shutOut, module(true))).toContain('whom it knows');
  });

  it('is left to the grid while nobody knows who it is', () => {
    expect(whyNotSubmit(undefined) + whyNotUpload(undefined) + whyNotChange(undefined, job('a1'))).toBe('');
  });
});

it('names who is logged in', () => {
  expect([undefined, stranger, here, ada, admin].map(nameOf)).toEqual(['', '', '', 'Ada', 'admin b2']);
});

describe('the way to the login and back', () => {
  const next = (link: string) =>
    nextOf(new URL(link, 'https://grid.example').searchParams, 'https://grid.example/login');

  it('ends where it began', () => {
    const link = loginLink({ pathname: '/submit', search: '?program=pi&q=a%26b' });
    expect(next(link)).toBe('/submit?program=pi&q=a%26b');
    expect(next(loginLink({ pathname: '/', search: '' }))).toBe('');
    expect(loginLink({ pathname: '/login', search: '?next=/jobs' })).toBe('/login');
  });

  it.each([
    'https://evil.example/',
    '//evil.example/',
    '/\\evil.example',
    'javascript:alert(1)',
    'jobs',
    '',
    '/login?next=/',
  ])('never leads elsewhere: %s', (to) => expect(next(`/login?next=${encodeURIComponent(to)}`)).toBe(''));
});
