import { Fd, wasi } from '@bjorn3/browser_wasi_shim';

/** Thrown out of a program that writes more than it may: it ends at once. */
export class TooMuchOutput extends Error {}

/** What file_fdstat_get says of a stream: a block device, as wazero reports streams in memory. */
abstract class Stream extends Fd {
  override fd_fdstat_get() {
    const stat = new wasi.Fdstat(wasi.FILETYPE_BLOCK_DEVICE, 0);
    stat.fs_rights_base = BigInt(streamRights);
    return { ret: wasi.ERRNO_SUCCESS, fdstat: stat };
  }

  override fd_filestat_get() {
    const stat = new wasi.Filestat(0n, wasi.FILETYPE_BLOCK_DEVICE, 0n);
    stat.nlink = 1n;
    return { ret: wasi.ERRNO_SUCCESS, filestat: stat };
  }
}

// Everything that wazero lets a file do.
const streamRights =
  wasi.RIGHTS_FD_DATASYNC |
  wasi.RIGHTS_FD_READ |
  wasi.RIGHTS_FD_SEEK |
  wasi.RIGHTS_FD_FDSTAT_SET_FLAGS |
  wasi.RIGHTS_FD_SYNC |
  wasi.RIGHTS_FD_TELL |
  wasi.RIGHTS_FD_WRITE |
  wasi.RIGHTS_FD_ADVISE |
  wasi.RIGHTS_FD_ALLOCATE;

/** A task's input. */
export class Input extends Stream {
  #rest: Uint8Array;

  constructor(bytes: Uint8Array) {
    super();
    this.#rest = bytes;
  }

  override fd_read(size: number) {
    const data = this.#rest.subarray(0, size);
    this.#rest = this.#rest.subarray(data.length);
    return { ret: wasi.ERRNO_SUCCESS, data };
  }
}

/** What a program writes: chunks, put together once. */
export class Output extends Stream {
  #chunks: Uint8Array[] = [];
  #size = 0;

  /** Past the limit of bytes a write ends the program, or else drops what is too much. */
  constructor(
    readonly limit: number,
    readonly drop: boolean,
  ) {
    super();
  }

  override fd_write(data: Uint8Array) {
    const room = this.limit - this.#size;
    if (data.length > room && !this.drop) throw new TooMuchOutput();
    const kept = data.subarray(0, room);
    if (kept.length > 0) {
      this.#chunks.push(kept);
      this.#size += kept.length;
    }
    return { ret: wasi.ERRNO_SUCCESS, nwritten: data.length };
  }

  /** All of it, in memory of its own. */
  bytes(): Uint8Array<ArrayBuffer> {
    const all = new Uint8Array(this.#size);
    let at = 0;
    for (const chunk of this.#chunks) {
      all.set(chunk, at);
      at += chunk.length;
    }
    return all;
  }
}
