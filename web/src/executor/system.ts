import { wasi, WASI } from '@bjorn3/browser_wasi_shim';
import { Random } from './random.ts';
import { Input, Output } from './streams.ts';

/** Bytes on stderr that are kept. */
const maxStderr = 64 << 10;

/** Nanoseconds: the clocks advance by this whenever they are read. */
const step = 1_000_000n;
/** 2022-01-01T00:00:00Z in nanoseconds. */
const wallStart = 1_640_995_200_000_000_000n;
/** A hundred years of 365 days in nanoseconds: longer sleeps would overflow. */
const century = 3_153_600_000_000_000_000n;
/** A poll without a clock passes no time. */
const noTimeout = 0x7fffffffffffffffn;

const subscriptionSize = 48;
const eventSize = 32;

/** The world of one program: WASI preview 1 by the shim, made deterministic. See docs/programs.md. */
export class System {
  readonly stdout: Output;
  readonly stderr = new Output(maxStderr, true);
  readonly #wasi: WASI;
  readonly #random: Random;
  #wall = wallStart;
  #monotonic = 0n;

  constructor(
    readonly args: string[],
    input: Uint8Array,
    seed: bigint,
    limit: number,
    readonly profile: number,
  ) {
    this.stdout = new Output(limit, false);
    this.#random = new Random(seed);
    this.#wasi = new WASI(args, [], [new Input(input), this.stdout, this.stderr], { debug: false });
  }

  /** What the program imports. */
  imports(): WebAssembly.Imports {
    const refuse = () => wasi.ERRNO_BADF;
    const open = (file: number, otherwise: number) => (this.#isOpen(file) ? otherwise : wasi.ERRNO_BADF);
    const own: WebAssembly.ModuleImports = {
      args_sizes_get: (count: number, size: number) => this.#argumentSizes(count, size),
      clock_time_get: (id: number, _: bigint, at: number) => this.#readClock(id, at),
      clock_res_get: (id: number, at: number) => this.#resolution(id, at),
      random_get: (at: number, length: number) => this.#fillRandom(at, length),
      poll_oneoff: (...args: [number, number, number, number]) => this.#poll(...args),
      sched_yield: () => wasi.ERRNO_SUCCESS,
      proc_raise: () => wasi.ERRNO_NOSYS,
      fd_fdstat_set_rights: () => wasi.ERRNO_NOSYS,
      fd_prestat_dir_name: (file: number) => open(file, wasi.ERRNO_NAMETOOLONG),
      fd_renumber: (from: number) => open(from, wasi.ERRNO_NOTSUP),
      path_symlink: (_at: number, _size: number, file: number) => open(file, wasi.ERRNO_NOTDIR),
      sock_accept: refuse,
      sock_recv: refuse,
      sock_send: refuse,
      sock_shutdown: refuse,
    };
    if (this.profile >= 2) Object.assign(own, placeless);
    return { wasi_snapshot_preview1: { ...this.#wasi.wasiImport, ...own } };
  }

  /** Runs a program to its end and gives its exit code. */
  run(instance: WebAssembly.Instance): number {
    return this.#wasi.start(instance as { exports: { memory: WebAssembly.Memory; _start: () => unknown } });
  }

  get #memory(): DataView {
    return new DataView(this.#wasi.inst.exports.memory.buffer);
  }

  /** The shim counts UTF-16 units. */
  #argumentSizes(count: number, size: number): number {
    const encoder = new TextEncoder();
    const bytes = this.args.reduce((sum, arg) => sum + encoder.encode(arg).length + 1, 0);
    const memory = this.#memory;
    memory.setUint32(count, this.args.length, true);
    memory.setUint32(size, bytes, true);
    return wasi.ERRNO_SUCCESS;
  }

  #readClock(id: number, at: number): number {
    if (id === wasi.CLOCKID_REALTIME) {
      this.#memory.setBigUint64(at, this.#wall, true);
      this.#wall += step;
    } else if (id === wasi.CLOCKID_MONOTONIC) {
      this.#memory.setBigUint64(at, this.#monotonic, true);
      this.#monotonic += step;
    } else {
      return wasi.ERRNO_INVAL;
    }
    return wasi.ERRNO_SUCCESS;
  }

  #resolution(id: number, at: number): number {
    if (id !== wasi.CLOCKID_REALTIME && id !== wasi.CLOCKID_MONOTONIC) return wasi.ERRNO_INVAL;
    this.#memory.setBigUint64(at, id === wasi.CLOCKID_REALTIME ? 1000n : 1n, true);
    return wasi.ERRNO_SUCCESS;
  }

  #fillRandom(at: number, length: number): number {
    this.#random.fill(new Uint8Array(this.#wasi.inst.exports.memory.buffer, at, length));
    return wasi.ERRNO_SUCCESS;
  }

  /**
   * All subscriptions are ready at once; the shortest timeout passes in no time, unless there is
   * input to be read, which does not wait.
   */
  #poll(from: number, to: number, count: number, ready: number): number {
    if (count === 0) return wasi.ERRNO_INVAL;
    const memory = this.#memory;
    new Uint8Array(memory.buffer, to, count * eventSize).fill(0);
    memory.setUint32(ready, count, true);
    const acknowledged: Subscription[] = [];
    const reads: Subscription[] = [];
    let timeout = noTimeout;
    for (let i = 0; i < count; i++) {
      const s = subscription(memory, from + i * subscriptionSize);
      if (s.type === wasi.EVENTTYPE_CLOCK) {
        if (s.flags !== 0) return s.flags === 1 ? wasi.ERRNO_NOTSUP : wasi.ERRNO_INVAL;
        if (s.timeout < timeout) timeout = s.timeout;
        acknowledged.push(s);
      } else if (s.type === wasi.EVENTTYPE_FD_READ && this.#isOpen(s.file)) {
        reads.push(s);
      } else if (s.type === wasi.EVENTTYPE_FD_READ || s.type === wasi.EVENTTYPE_FD_WRITE) {
        s.error = this.#isOpen(s.file) ? wasi.ERRNO_NOTSUP : wasi.ERRNO_BADF;
        acknowledged.push(s);
      } else {
        return wasi.ERRNO_INVAL;
      }
    }
    if (reads.length === 0) this.#sleep(timeout);
    [...acknowledged, ...reads].forEach((s, i) => writeEvent(memory, to + i * eventSize, s));
    return wasi.ERRNO_SUCCESS;
  }

  #isOpen(file: number): boolean {
    return this.#wasi.fds[file] !== undefined;
  }

  #sleep(ns: bigint): void {
    if (ns <= 0n || ns === noTimeout || this.#monotonic > century) return;
    if (ns > century) ns = century;
    this.#wall += ns;
    this.#monotonic += ns;
  }
}

/** From profile 2 on the streams have no places to seek, read or write at, as POSIX says of a pipe. */
const noPlace = (file: number) => (file >>> 0 <= 2 ? wasi.ERRNO_SPIPE : wasi.ERRNO_BADF);
const placeless = { fd_seek: noPlace, fd_tell: noPlace, fd_pread: noPlace, fd_pwrite: noPlace };

interface Subscription {
  user: bigint;
  type: number;
  file: number;
  timeout: bigint;
  flags: number;
  error: number;
}

function subscription(memory: DataView, at: number): Subscription {
  return {
    user: memory.getBigUint64(at, true),
    type: memory.getUint8(at + 8),
    file: memory.getUint32(at + 16, true),
    timeout: memory.getBigInt64(at + 24, true),
    flags: memory.getUint16(at + 40, true),
    error: wasi.ERRNO_SUCCESS,
  };
}

function writeEvent(memory: DataView, at: number, s: Subscription): void {
  memory.setBigUint64(at, s.user, true);
  memory.setUint16(at + 8, s.error, true);
  memory.setUint8(at + 10, s.type);
}
