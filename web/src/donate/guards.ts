import { Busy, type Pressure } from './busy';

export type GuardName = 'battery' | 'busy' | 'saver';

/** Something about the machine that is a reason to pause. */
export interface Guard {
  name: GuardName;
  /** Whether this browser can tell. */
  available: boolean;
  /** Tells whether there is reason to pause, at first and whenever that changes, until the returned function is called. */
  watch(tell: (reason: boolean) => void, own: () => number): () => void;
}

interface Battery extends EventTarget {
  charging: boolean;
}

interface Machine {
  getBattery?: () => Promise<Battery>;
  connection?: EventTarget & { saveData?: boolean };
}

type Observe = new (callback: (records: { state: Pressure }[]) => void) => {
  observe(source: 'cpu', options: { sampleInterval: number }): Promise<void>;
  disconnect(): void;
};

export function guards(scope: object = globalThis): Guard[] {
  const { navigator = {}, PressureObserver } = scope as { navigator?: Machine; PressureObserver?: Observe };
  return [batteryGuard(navigator), busyGuard(PressureObserver), saverGuard(navigator)];
}

function batteryGuard(machine: Machine): Guard {
  return {
    name: 'battery',
    available: typeof machine.getBattery === 'function',
    watch(tell) {
      let battery: Battery | undefined;
      let over = false;
      const look = () => battery && tell(!battery.charging);
      machine.getBattery?.().then(
        (got) => {
          if (over) return;
          battery = got;
          battery.addEventListener('chargingchange', look);
          look();
        },
        () => {}, // a browser that will not tell is like one that cannot
      );
      return () => {
        over = true;
        battery?.removeEventListener('chargingchange', look);
      };
    },
  };
}

function saverGuard(machine: Machine): Guard {
  const connection = machine.connection;
  return {
    name: 'saver',
    available: connection?.saveData !== undefined,
    watch(tell) {
      const look = () => tell(connection?.saveData === true);
      look();
      connection?.addEventListener('change', look);
      return () => connection?.removeEventListener('change', look);
    },
  };
}

function busyGuard(Observer: Observe | undefined): Guard {
  return {
    name: 'busy',
    available: Observer !== undefined,
    watch(tell, own) {
      if (!Observer) return () => {};
      const busy = new Busy();
      let latest: Pressure = 'nominal';
      const look = () => tell(busy.judge(latest, own(), Date.now()));
      const observer = new Observer((records) => {
        latest = records.at(-1)?.state ?? latest;
        look();
      });
      // Records come only when the pressure changes, but calm has to last before it counts.
      const clock = setInterval(look, 5000);
      observer.observe('cpu', { sampleInterval: 2000 }).catch(() => clearInterval(clock));
      return () => {
        clearInterval(clock);
        observer.disconnect();
      };
    },
  };
}
