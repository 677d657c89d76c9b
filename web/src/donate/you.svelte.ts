import { known, volunteerId } from './identity';
import { storage } from './storage';

/** Who this browser is to the grid, as far as can be told without computing; empty if it never took part. */
class Identity {
  volunteer = $state('');

  constructor() {
    this.look();
  }

  look = (): void => {
    const secret = known(storage('local'));
    if (!secret) this.volunteer = '';
    else void volunteerId(secret).then((id) => (this.volunteer = id ?? ''));
  };
}

export const identity = new Identity();
