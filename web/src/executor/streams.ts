import { Fd, wasi } from '@bjorn3/browser_wasi_shim';

/** Thrown out of a program that writes more than it may: it ends at once. */
export class TooMuchOutput extends Error {}

/** Every right that wazero reports of a stream. */
const streamRights = 0x08e001ffn;

const unsupported = wasi.ERRNO_NOSYS;
const noDirectory = wasi.ERRNO_NOTDIR;

/**
 * A stream that answers as wazero's streams in memory do, to the byte, also where that is odd: two
 * honest engines must not disagree because a program asked something strange. The conformance
 * suite compares every answer.
 */
abstract class Stream extends Fd {
  override fd_fdstat_get() {
    const stat = new wasi.Fdstat(wasi.FILETYPE_BLOCK_DEVICE, 0);
    stat.fs_rights_base = streamRights;
    return { ret: wasi.ERRNO_SUCCESS, fdstat: stat };
  }

  override fd_filestat_get() {
    const stat = new wasi.Filestat(0n, wasi.FILETYPE_BLOCK_DEVICE, 0n);
    stat.nlink = 1n;
    return { ret: wasi.ERRNO_SUCCESS, filestat: stat };
  }

  override fd_prestat_get() {
    return { ret: wasi.ERRNO_SUCCESS, prestat: wasi.Prestat.dir('') };
  }

  override fd_seek() {
    return { ret: unsupported, offset: 0n };
  }

  override fd_tell() {
    return { ret: unsupported, offset: 0n };
  }

  override fd_allocate() {
    return unsupported;
  }

  override fd_filestat_set_size() {
    return unsupported;
  }

  override fd_fdstat_set_flags() {
    return wasi.ERRNO_SUCCESS;
  }

  override fd_filestat_set_times(): number {
    throw new Error('a stream has no times');
  }

  override fd_pread() {
    return { ret: wasi.ERRNO_BADF, data: nothing };
  }

  override fd_pwrite() {
    return { ret: wasi.ERRNO_BADF, nwritten: 0 };
  }

  override fd_readdir_single() {
    return { ret: wasi.ERRNO_BADF, dirent: null };
  }

  override path_create_directory() {
    return noDirectory;
  }

  override path_filestat_get() {
    return { ret: noDirectory, filestat: null };
  }

  override path_filestat_set_times() {
    return noDirectory;
  }

  override path_lookup() {
    return { ret: noDirectory, inode_obj: null };
  }

  override path_readlink() {
    return { ret: noDirectory, data: null };
  }

  override path_remove_directory() {
    return noDirectory;
  }

  override path_unlink() {
    return { ret: noDirectory, inode_obj: null };
  }

  override path_unlink_file() {
    return noDirectory;
  }
}

const nothing = new Uint8Array();

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

  override fd_write() {
    return { ret: wasi.ERRNO_BADF, nwritten: 0 };
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

  override fd_read() {
    return { ret: wasi.ERRNO_BADF, data: nothing };
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
