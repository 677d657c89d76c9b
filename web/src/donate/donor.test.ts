import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { nothing } from './contribution';
import { fakeDonor, FakeStorage } from './fakes';
import { known } from './identity';

beforeEach(() => {
  vi.useFakeTimers();
});
afterEach(() => {
  vi.useRealTimers();
});

const task = { slot: 0, job: 'j', title: 'J', task: 1, since: 0 };

describe('before Start', () => {
  it('does nothing', async () => {
    const { donor, agents, seat, battery } = fakeDonor();
    await vi.advanceTimersByTimeAsync(10_000);
    expect(donor.state).toBe('idle');
    expect([agents.length, seat.taken, battery.tell]).toEqual([0, false, undefined]);
    expect(donor.around.local?.length).toBe(0);
  });

  it('says what the browser lacks, and does not start', async () => {
    const { donor, agents } = fakeDonor({ missing: ['WebAssembly'] });
    await donor.start();
    expect(donor.state).toBe('unsupported');
    expect(agents).toHaveLength(0);
  });
});

describe('start', () => {
  it('tells the agent what was chosen', async () => {
    const { donor, agents } = fakeDonor();
    donor.change({ cores: 3, share: 60, name: ' Ada ', team: ' Engines ' });
    await donor.start();
    const [start] = agents[0]?.heard ?? [];
    expect(start).toMatchObject({
      do: 'start',
      server: 'http://grid',
      slots: 3,
      share: 0.6,
      name: 'Ada',
      team: 'Engines',
      token: '',
    });
    expect(start?.do === 'start' && start.secret.length).toBe(32);
    expect(donor.state).toBe('starting');
  });

  it('is the same volunteer every time, until it is forgotten', async () => {
    const local = new FakeStorage();
    const secrets: string[] = [];
    for (const forget of [false, true, false]) {
      const { donor, agents } = fakeDonor({ local });
      await donor.start();
      const start = agents[0]?.heard[0];
      secrets.push(start?.do === 'start' ? start.secret.join() : '');
      if (forget) await donor.forget();
    }
    expect(secrets[1]).toBe(secrets[0]);
    expect(secrets[2]).not.toBe(secrets[0]);
  });

  it('forgets nothing here before the grid has erased the name', async () => {
    const local = new FakeStorage();
    const { donor, erased, started } = fakeDonor({ local });
    await started();
    donor.change({ name: 'Ada' });
    const had = known(local);
    erased.fails = true;
    await expect(donor.forget()).rejects.toThrow('offline');
    expect([known(local), donor.settings.name]).toEqual([had, 'Ada']);
    erased.fails = false;
    await donor.forget();
    expect(erased.secrets).toEqual([had]);
    expect([known(local), donor.settings.name]).toEqual([undefined, '']);
    await donor.forget();
    expect(erased.secrets).toHaveLength(1);
  });

  it('follows what the agent reports', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    expect(donor.state).toBe('computing');
    agent.status({ idle: 'no job is running' });
    expect(donor.state).toBe('nowork');
    agent.status({ connection: 'offline', reason: 'reset', retryAt: 1 });
    expect(donor.state).toBe('offline');
    agent.status({ running: [task], idle: 'stale' });
    expect(donor.state).toBe('computing');
    agent.status({ trouble: 'there was not enough memory on this machine', troubleUntil: 1 });
    expect(donor.state).toBe('trouble');
    agent.status({
      running: [task],
      trouble: 'there was not enough memory on this machine',
      troubleUntil: 1,
    });
    expect(donor.state).toBe('computing');
  });

  it('gives up on an agent that says nothing for 20 seconds', async () => {
    const { donor, agents, seat } = fakeDonor();
    await donor.start();
    await vi.advanceTimersByTimeAsync(19_000);
    expect(donor.state).toBe('starting');
    await vi.advanceTimersByTimeAsync(1000);
    expect(donor.state).toBe('failed');
    expect([agents[0]?.terminated, seat.taken]).toEqual([true, false]);
  });

  it('takes an error of the worker as a failure, and may be tried again', async () => {
    const { donor, agents } = fakeDonor();
    await donor.start();
    agents[0]?.onerror?.({ message: 'no such file' });
    expect(donor.end).toEqual({ code: 'failed', reason: 'no such file' });
    await donor.start();
    expect(agents).toHaveLength(2);
    expect(donor.state).toBe('starting');
  });
});

describe('another tab', () => {
  it('is left alone, and waited for on request', async () => {
    const { donor, agents, seat } = fakeDonor();
    await seat.take();
    await donor.start();
    expect(donor.state).toBe('another');
    expect(agents).toHaveLength(0);
    void donor.wait();
    expect(donor.waiting).toBe(true);
    seat.free();
    await vi.advanceTimersByTimeAsync(0);
    expect([donor.state, donor.waiting, agents.length]).toEqual(['starting', false, 1]);
  });

  it('is not waited for after a change of mind', async () => {
    const { donor, agents, seat } = fakeDonor();
    await seat.take();
    await donor.start();
    void donor.wait();
    donor.stop();
    seat.free();
    await vi.advanceTimersByTimeAsync(0);
    expect([donor.state, donor.waiting, agents.length]).toEqual(['idle', false, 0]);
    expect(seat.taken).toBe(false);
  });
});

describe('limits', () => {
  it('change while it computes', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    donor.change({ cores: 2, share: 50 });
    expect(agent.last).toEqual({ do: 'limit', slots: 2, share: 0.5, paused: false });
  });

  it('pause for each reason until all of them are gone', async () => {
    const { donor, started, battery } = fakeDonor();
    const agent = await started();
    battery.tell?.(true);
    expect(donor.state).toBe('paused');
    donor.pause();
    expect([...donor.pauses]).toEqual(['battery', 'me']);
    donor.resume();
    expect(agent.last).toMatchObject({ paused: true });
    battery.tell?.(false);
    expect(agent.last).toMatchObject({ paused: false });
    expect(donor.state).toBe('computing');
  });

  it('pause for some minutes, and then go on', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    donor.pauseFor(5);
    expect(agent.last).toMatchObject({ paused: true });
    await vi.advanceTimersByTimeAsync(5 * 60_000 - 1);
    expect(donor.state).toBe('paused');
    await vi.advanceTimersByTimeAsync(1);
    expect(agent.last).toMatchObject({ paused: false });
  });

  it('let the machine be overruled, or its reasons be unticked', async () => {
    const { donor, started, battery, busy } = fakeDonor();
    const agent = await started();
    donor.change({ busy: true });
    busy.tell?.(true);
    donor.override();
    expect([donor.settings.busy, busy.tell, donor.state]).toEqual([false, undefined, 'computing']);
    battery.tell?.(true);
    donor.change({ battery: false });
    expect(agent.last).toMatchObject({ paused: false });
  });

  it('reach an agent that was paused before its first word', async () => {
    const { donor, agents, battery } = fakeDonor();
    await donor.start();
    battery.tell?.(true);
    agents[0]?.status();
    expect(agents[0]?.last).toMatchObject({ do: 'limit', paused: true });
  });

  it('keep the screen on only while it computes, and only on request', async () => {
    const { donor, started, screen } = fakeDonor();
    await started();
    expect(screen.on).toBe(false);
    donor.change({ awake: true });
    expect(screen.on).toBe(true);
    donor.pause();
    expect(screen.on).toBe(false);
    donor.resume();
    expect(screen.on).toBe(true);
    donor.stop();
    await vi.advanceTimersByTimeAsync(5000);
    expect(screen.on).toBe(false);
  });
});

describe('the end', () => {
  it('comes with Stop, and is waited for', async () => {
    const { donor, started, seat } = fakeDonor();
    const agent = await started();
    donor.stop();
    expect(agent.last).toEqual({ do: 'stop' });
    expect(donor.state).toBe('stopping');
    agent.say({ kind: 'ended', code: 'stopped', reason: '' });
    expect([donor.state, seat.taken, agent.terminated]).toEqual(['stopped', false, true]);
  });

  it('comes with Stop also if the agent hangs', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    donor.stop();
    await vi.advanceTimersByTimeAsync(4000);
    expect([donor.state, agent.terminated]).toEqual(['stopped', true]);
  });

  it('comes after the current tasks, paused or not', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    donor.pause();
    donor.finish();
    expect(agent.heard.slice(-2)).toMatchObject([{ do: 'finish' }, { do: 'limit', paused: false }]);
    expect(donor.state).toBe('finishing');
    agent.say({ kind: 'ended', code: 'stopped', reason: '' });
    expect(donor.state).toBe('stopped');
  });

  it.each(['protocol', 'token', 'quarantine', 'full'] as const)(
    'has words of its own when it is %s',
    async (code) => {
      const { donor, started } = fakeDonor();
      (await started()).say({ kind: 'ended', code, reason: 'why' });
      expect(donor.state).toBe(code);
      expect(donor.end?.reason).toBe('why');
    },
  );

  it('without a token is overcome with one', async () => {
    const { donor, agents, started } = fakeDonor();
    (await started()).say({ kind: 'ended', code: 'token', reason: '' });
    await donor.useToken(' abc ');
    expect(agents[1]?.heard[0]).toMatchObject({ do: 'start', token: 'abc' });
  });

  it('comes when the page goes, so that nothing runs unseen', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    donor.left();
    expect(agent.last).toEqual({ do: 'stop' });
    expect(donor.state).toBe('stopped');
    agent.say({ kind: 'ended', code: 'stopped', reason: '' });
    expect(agent.terminated).toBe(true);
  });
});

describe('what was done', () => {
  it('is summed up over several starts', async () => {
    const { donor, started } = fakeDonor();
    for (const accepted of [3, 4]) {
      const agent = await started();
      agent.status({ totals: { ...nothing, accepted }, computing: 10 });
      agent.say({ kind: 'ended', code: 'stopped', reason: '' });
    }
    expect(donor.totals.accepted).toBe(7);
    expect(donor.computing).toBe(20);
  });

  it('is unsaved as long as the grid has not acknowledged it', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    expect(donor.unsaved).toBe(false);
    agent.status({ unacknowledged: 1 });
    expect(donor.unsaved).toBe(true);
    agent.say({ kind: 'ended', code: 'stopped', reason: '' });
    expect(donor.unsaved).toBe(false);
  });

  it('stops while the browser freezes the tab, and says so', async () => {
    const { donor, started } = fakeDonor();
    const agent = await started();
    donor.froze();
    expect(donor.state).toBe('paused');
    await vi.advanceTimersByTimeAsync(180_000);
    donor.thawed();
    expect(agent.last).toMatchObject({ paused: false });
    expect(donor.contribution.log.at(-1)?.text).toContain('3 min');
  });
});
