import { expect, it } from 'vitest';
import { trustWords, worth, type Volunteer } from './trust';

const ada: Volunteer = {
  volunteer: '00',
  name: '',
  team: '',
  trust: 'newcomer',
  reason: '',
  proven: 2,
  probation: 3,
  answered: 0,
  checked: 0,
  tasks: 0,
  seconds: 0,
  pending_tasks: 0,
  pending_seconds: 0,
};

it('tells a volunteer what the grid thinks of them', () => {
  expect(trustWords(ada)).toBe(
    'Your answers count by themselves once 3 were confirmed by the server or by volunteers who are believed; 2 were so far.',
  );
  expect(trustWords({ ...ada, proven: 1 })).toContain('1 was so far');
  expect(trustWords({ ...ada, trust: 'established' })).toMatch(/count by themselves now\. Some are still/);
  expect(trustWords({ ...ada, trust: 'established', answered: 40, checked: 3 })).toContain(
    'of the last 40 answers, others have confirmed 3',
  );
  expect(trustWords({ ...ada, trust: 'quarantined', reason: 'a result was wrong' })).toBe(
    'The grid takes no more answers from here, and credit is gone. A result was wrong.',
  );
});

it('says what tasks are worth', () => {
  expect(worth(0, 0)).toBe('nothing yet');
  expect(worth(3, 12)).toMatch(/^3 tasks, 12/);
});
