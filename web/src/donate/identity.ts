// A volunteer is whoever has a secret: 32 random bytes that this browser made up. There is no account.

const key = 'potluck.secret';
const length = 32;

/** The secret of this browser, if it has one. */
export function known(store: Storage | undefined): Uint8Array | undefined {
  try {
    const bytes = Uint8Array.from(atob(store?.getItem(key) ?? ''), (c) => c.charCodeAt(0));
    return bytes.length === length ? bytes : undefined;
  } catch {
    return undefined;
  }
}

/** The secret of this browser, which is made up when there is none. */
export function secret(store: Storage | undefined): Uint8Array {
  const had = known(store);
  if (had) return had;
  const bytes = crypto.getRandomValues(new Uint8Array(length));
  try {
    store?.setItem(key, btoa(String.fromCharCode(...bytes)));
  } catch {
    // Without storage one is somebody else after every reload, and works all the same.
  }
  return bytes;
}

export function forget(store: Storage | undefined): void {
  store?.removeItem(key);
}

/**
 * Who the grid takes the owner of a secret for: the first 8 bytes of its SHA-256. Undefined where the browser
 * does not compute one, which is on pages that came over plain HTTP.
 */
export async function volunteerId(secret: Uint8Array): Promise<string | undefined> {
  const subtle = globalThis.crypto?.subtle as SubtleCrypto | undefined;
  if (!subtle) return undefined;
  return hex(new Uint8Array(await subtle.digest('SHA-256', new Uint8Array(secret))).subarray(0, 8));
}

export function hex(bytes: Uint8Array): string {
  return Array.from(bytes, (byte) => byte.toString(16).padStart(2, '0')).join('');
}
