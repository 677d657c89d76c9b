/** SplitMix64 (Steele, Lea, Flood: OOPSLA 2014), eight bytes a step, little endian. */
export class Random {
  #state: bigint;
  #block = new DataView(new ArrayBuffer(8));
  #left = 0;

  constructor(seed: bigint) {
    this.#state = seed;
  }

  /** The next output. */
  next(): bigint {
    this.#state = BigInt.asUintN(64, this.#state + 0x9e3779b97f4a7c15n);
    let z = this.#state;
    z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
    z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
    return z ^ (z >> 31n);
  }

  fill(bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      if (this.#left === 0) {
        this.#block.setBigUint64(0, this.next(), true);
        this.#left = 8;
      }
      bytes[i] = this.#block.getUint8(8 - this.#left--);
    }
  }
}
