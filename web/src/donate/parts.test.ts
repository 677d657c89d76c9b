import { describe, expect, it, vi } from 'vitest';
import { Busy } from './busy';
import { layout, strength } from './cloth';
import { Contribution, mostTiles } from './contribution';
import { FakeStorage, quiet } from './fakes';
import { guards } from './guards';
import { known, secret, volunteerId } from './identity';
import { milestone, spoken } from './milestones';
import { missing } from './missing';
import { lockSeat } from './seat';
import { defaults, load, save, visible } from './settings';
import { countdown, explain, sentence, type Facts } from './states';

describe('settings', () => {
  it('takes of a name what people see', () => {
    expect(visible(' a\u200bb\u202ec\ufeff\n ')).toBe('abc');
    expect(visible('👩\u200d🔬 می\u200cخواهم')).toBe('👩\u200d🔬 می\u200cخواهم');
  });

  it('begin with half of the cores, at least one', () => {
    expect([1, 2, 3, 8].map((cores) => defaults(cores).cores)).toEqual([1, 1, 1, 4]);
  });

  it('survive, as far as they fit this machine', () => {
    const store = new FakeStorage();
    save(store, { ...defaults(64), cores: 48, share: 30, name: 'x'.repeat(50), awake: true });
    expect(load(store, 8)).toMatchObject({ cores: 8, share: 30, name: 'x'.repeat(40), awake: true });
    store.setItem('potluck.donate', '{"cores":"many","share":-5}');
    expect(load(store, 8)).toMatchObject({ cores: 4, share: 10 });
    store.setItem('potluck.donate', 'nonsense');
    expect(load(store, 8)).toEqual(defaults(8));
    expect(load(undefined, 8)).toEqual(defaults(8));
  });
});

describe('identity', () => {
  it('is made once', () => {
    const store = new FakeStorage();
    expect(known(store)).toBeUndefined();
    const made = secret(store);
    expect(known(store)).toEqual(made);
    store.setItem('potluck.secret', 'short');
    expect(known(store)).toBeUndefined();
  });

  it('is known to the grid by the start of a hash', async () => {
    expect(await volunteerId(new Uint8Array(32))).toBe('66687aadf862bd77');
  });

  it('stays unknown to the page where the browser does not hash', async () => {
    vi.stubGlobal('crypto', {});
    expect(await volunteerId(new Uint8Array(32))).toBeUndefined();
    vi.unstubAllGlobals();
  });
});

describe('Busy', () => {
  const judge = (own: number, ...steps: [string, number][]) => {
    const busy = new Busy();
    return steps.map(([pressure, at]) => busy.judge(pressure as 'nominal', own, at));
  };

  it('pauses when the machine is full, and goes on only after a time of calm', () => {
    expect(
      judge(
        0.5,
        ['serious', 0],
        ['critical', 1],
        ['fair', 2000],
        ['serious', 9000],
        ['fair', 10_000],
        ['nominal', 25_001],
      ),
    ).toEqual([false, true, true, true, true, false]);
  });

  it('is more careful when little is lent, and cannot tell when all is', () => {
    expect(judge(0.2, ['serious', 0])).toEqual([true]);
    expect(judge(1, ['critical', 0])).toEqual([false]);
  });
});

describe('guards', () => {
  it('know what the browser can tell', () => {
    expect(guards({}).map(({ available }) => available)).toEqual([false, false, false]);
  });

  it('watch the battery until they are told not to', async () => {
    const battery = Object.assign(new EventTarget(), { charging: true });
    const told: boolean[] = [];
    const [guard] = guards({ navigator: { getBattery: () => Promise.resolve(battery) } });
    const stop = guard?.watch(
      (reason) => told.push(reason),
      () => 0,
    );
    await Promise.resolve();
    battery.charging = false;
    battery.dispatchEvent(new Event('chargingchange'));
    stop?.();
    battery.charging = true;
    battery.dispatchEvent(new Event('chargingchange'));
    expect(told).toEqual([false, true]);
  });

  it('watch the pressure', () => {
    let report: (records: { state: string }[]) => void = () => {};
    class PressureObserver {
      constructor(callback: typeof report) {
        report = callback;
      }
      observe = () => Promise.resolve();
      disconnect = () => {};
    }
    const told: boolean[] = [];
    const stop = guards({ PressureObserver })[1]?.watch(
      (reason) => told.push(reason),
      () => 0.5,
    );
    report([{ state: 'nominal' }, { state: 'critical' }]);
    stop?.();
    expect(told).toEqual([true]);
  });
});

describe('the seat', () => {
  it('is always free where there are no locks', async () => {
    expect(await lockSeat(undefined).take()).toBeTypeOf('function');
  });

  it('is held until it is left', async () => {
    let held: Promise<unknown> | undefined;
    const locks = {
      request: (_: string, __: object, callback: (lock: object | null) => Promise<void>) =>
        (held = callback({})),
    } as unknown as LockManager;
    const leave = await lockSeat(locks).take();
    leave?.();
    await expect(held).resolves.toBeUndefined();
  });
});

describe('missing', () => {
  it('names what is not there', () => {
    expect(missing({ Worker: 1, WebSocket: 1 })).toEqual(['WebAssembly, in which the tasks are written']);
    expect(missing({ Worker: 1, WebSocket: 1, WebAssembly: 1 })).toEqual([]);
  });
});

describe('Contribution', () => {
  it('keeps the latest tiles and lines, and all sums', () => {
    const done = new Contribution();
    for (let i = 0; i < mostTiles + 10; i++) {
      done.take([{ event: 'computed', job: 'j', title: 'J', task: i, ms: 10 }], i);
    }
    expect(done.count).toBe(mostTiles + 10);
    expect(done.tiles.length).toBeLessThanOrEqual(mostTiles);
    expect(done.shares.get('j')).toEqual({
      job: 'j',
      title: 'J',
      tasks: mostTiles + 10,
      ms: (mostTiles + 10) * 10,
    });
    expect(done.log).toHaveLength(200);
    expect(done.log.at(-1)?.text).toBe(`Task ${mostTiles + 9} of “J” computed in 10 ms`);
  });

  it('knows the rate of late', () => {
    const done = new Contribution();
    for (let i = 0; i < 60; i++) done.take([{ event: 'computed', job: 'j', ms: 1 }], i * 1000);
    expect(done.rate(60_000, 0)).toBe(60);
    expect(done.rate(400_000, 0)).toBe(0);
  });
});

describe('the tablecloth', () => {
  it('has room for all, in ever smaller tiles', () => {
    for (const tiles of [1, 100, 1000, mostTiles]) {
      const { order, columns, rows } = layout(640, 320, tiles);
      expect(order.length).toBe(columns * rows);
      expect(order.length).toBeGreaterThanOrEqual(tiles);
      expect(new Set(order).size).toBe(order.length);
    }
    expect(layout(640, 320, 1).pitch).toBeGreaterThan(layout(640, 320, 1000).pitch);
  });

  it('begins in the middle', () => {
    const { order, columns, rows } = layout(340, 340, 1);
    const first = order[0] ?? 0;
    expect(Math.abs((first % columns) - columns / 2)).toBeLessThanOrEqual(1);
    expect(Math.abs(Math.floor(first / columns) - rows / 2)).toBeLessThanOrEqual(1);
  });

  it('is stronger for longer tasks', () => {
    expect([1, 10, 774.6, 60_000, 1e9].map((ms) => Math.round(strength(ms) * 100))).toEqual([
      0, 0, 50, 100, 100,
    ]);
  });
});

describe('words', () => {
  const facts: Facts & { missing: string[]; waiting: boolean } = {
    phase: 'running',
    unsupported: false,
    pauses: new Set(),
    pausedUntil: 0,
    missing: [],
    waiting: false,
  };

  it('count down', () => {
    expect([500, 59_000, 61_000, 245_000].map(countdown)).toEqual(['1 second', '59 seconds', '1:01', '4:05']);
  });

  it('make sentences of reasons', () => {
    expect(['no job is running', 'Why?', ''].map(sentence)).toEqual(['No job is running.', 'Why?', '']);
  });

  it('say why it is offline, when it tries again, and that nothing is lost', () => {
    const status = { ...quiet, reason: 'connection reset', retryAt: 12_000, unacknowledged: 2 };
    expect(explain('offline', { ...facts, status }, 2000)).toBe(
      'Connection reset. Next try in 10 seconds. 2 results are kept until the grid has them.',
    );
  });

  it('say what keeps the machine from computing, and until when', () => {
    const status = { ...quiet, trouble: 'there was not enough memory', troubleUntil: 62_000 };
    expect(explain('trouble', { ...facts, status }, 2000)).toBe(
      'There was not enough memory. Next try in 1:00. What it had went back to the grid.',
    );
  });

  it('say all the reasons of a pause', () => {
    const pauses = new Set(['battery', 'timer'] as const);
    const status = { ...quiet, running: { length: 1 } };
    expect(explain('paused', { ...facts, status, pauses, pausedUntil: 65_000 }, 0)).toBe(
      'The machine runs on its battery. It goes on when it is plugged in. It goes on in 1:05. 1 task still being finished.',
    );
  });

  it('are spoken for new states and round numbers only', () => {
    expect([0, 1, 3, 49, 50, 999, 1234].map(milestone)).toEqual([0, 1, 2, 20, 50, 500, 1000]);
    expect(spoken('idle', new Set(), 0)).toBe('');
    expect(spoken('computing', new Set(), 57)).toBe('Computing. 50 tasks done.');
    expect(spoken('paused', new Set(['me'] as const), 57)).toBe('Paused. You paused it.');
  });
});
