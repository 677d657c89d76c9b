import type { components } from '../api/schema.gen';
import { count, duration, number } from '../words';
import { sentence } from './states';

export type Volunteer = components['schemas']['Volunteer'];

/** What the grid thinks of a volunteer, in words for them. */
export function trustWords({ trust, proven, probation, answered, checked, reason }: Volunteer): string {
  switch (trust) {
    case 'newcomer':
      return `Your answers count by themselves once ${number(probation)} were confirmed by the server or by volunteers who are believed; ${number(proven)} ${proven === 1 ? 'was' : 'were'} so far.`;
    case 'established':
      return answered > 0
        ? `Your answers have proven right, so they count by themselves now. Some are still compared: of the last ${count(answered, 'answer')}, others have confirmed ${number(checked)}.`
        : 'Your answers have proven right, so they count by themselves now. Some are still compared.';
    case 'quarantined':
      return `The grid takes no more answers from here, and credit is gone. ${sentence(reason)}`.trim();
  }
}

/** So many tasks and what they are worth, such as "3 tasks, 12 s". */
export function worth(tasks: number, seconds: number): string {
  return tasks > 0 ? `${count(tasks, 'task')}, ${duration(seconds)}` : 'nothing yet';
}
