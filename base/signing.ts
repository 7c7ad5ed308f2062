import { createHash, createPrivateKey, createPublicKey, generateKeyPairSync, randomBytes, sign, verify, type KeyObject } from 'node:crypto';
import { linkSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { codeOf, reasonOf } from './thrown.ts';
import { Fault } from './fault.ts';

/** 16 hex digits of the SHA-256 of a public key: which key a signature needs. */
export type KeyId = string;

/** Bytes of an Ed25519 signature. */
export const SIGNATURE_BYTES = 64;

/**
 * `unknown-key`: signed by a key that is not here, which may be another yard's or one that was retired. `bad`: these bytes are not what
 * the key signed.
 */
export type Verdict = 'good' | 'bad' | 'unknown-key';

/**
 * Ed25519 keys: one signs, any number verify. What is signed is a `purpose` and then the bytes, so that a signature for one
 * purpose never holds for another. The bytes are the ones that are kept: nothing is encoded anew before it is verified.
 */
export interface Keyring {
  /** The key that signs. */
  readonly keyId: KeyId;
  /** All keys that verify, the signing one among them. */
  readonly keyIds: readonly KeyId[];
  sign(purpose: string, bytes: Uint8Array): Uint8Array;
  /** The signatures of all private keys that are here, that of the signing one first: for what any of them may have made. */
  signAll(purpose: string, bytes: Uint8Array): readonly Uint8Array[];
  verify(purpose: string, keyId: KeyId, bytes: Uint8Array, signature: Uint8Array): Verdict;
}

/**
 * The keys in a file of PEM blocks. The first private key signs; every other one, private or public, only verifies. So keys are
 * rotated by putting a new private key in front, and dropping the last one once nothing that it signed is worth keeping.
 * @throws {Fault} CONFIG_INVALID where a block is no Ed25519 key, or none is private
 */
export function parseKeyring(text: string): Keyring {
  const blocks = [...text.matchAll(/-----BEGIN ([A-Z ]+)-----[^-]*-----END \1-----/g)];
  const keys = blocks.map(([block, kind], index) => keyOf(block, kind ?? '', index));
  const [signing, ...others] = keys.flatMap(({ id, secret }) => (secret === undefined ? [] : [{ id, secret }]));
  if (signing === undefined) {
    throw new Fault('CONFIG_INVALID', 'The file of signing keys has no private key', {
      hint: 'Make one with "openssl genpkey -algorithm ed25519", or remove the file and one is made.',
    });
  }
  return keyringOf(signing, others, new Map(keys.map(({ id, open }) => [id, open])));
}

/** Keys that live in this process alone. */
export function freshKeyring(): Keyring {
  return parseKeyring(newKeyText());
}

/**
 * The keys in a file, which is made with a new key, for its owner alone, where there is none: whoever comes first makes it, and all
 * who come at once get the same.
 * @throws {Fault} CONFIG_INVALID where the file is no file of keys or cannot be read
 */
export function keptKeyring(path: string): Keyring {
  const text = readText(path) ?? made(path);
  try {
    return parseKeyring(text);
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `Signing keys in ${path}: ${reasonOf(error)}`, {
      field: 'signingKeyFile',
      cause: error,
    });
  }
}

/** A keyring that can be exchanged while it is used. */
export function exchangeableKeyring(first: Keyring): Keyring & { exchange(next: Keyring): void } {
  let current = first;
  return {
    get keyId() {
      return current.keyId;
    },
    get keyIds() {
      return current.keyIds;
    },
    sign: (purpose, bytes) => current.sign(purpose, bytes),
    signAll: (purpose, bytes) => current.signAll(purpose, bytes),
    verify: (purpose, keyId, bytes, signature) => current.verify(purpose, keyId, bytes, signature),
    exchange(next) {
      current = next;
    },
  };
}

/**
 * Remembers the newest `countMax` signatures that were good, so that what is read again and again is verified once: for the price of
 * a hash. A key that is taken away verifies nothing from then on.
 */
export function rememberingKeyring(next: Keyring, countMax: number): Keyring {
  /** The oldest first. */
  const good = new Set<string>();
  return {
    get keyId() {
      return next.keyId;
    },
    get keyIds() {
      return next.keyIds;
    },
    sign: (purpose, bytes) => next.sign(purpose, bytes),
    signAll: (purpose, bytes) => next.signAll(purpose, bytes),
    verify(purpose, keyId, bytes, signature) {
      if (!next.keyIds.includes(keyId)) return 'unknown-key';
      const name = createHash('sha256').update(`${purpose}\0${keyId}\0`).update(signature).update(bytes).digest('base64');
      if (signature.byteLength === SIGNATURE_BYTES && good.has(name)) return 'good';
      const verdict = next.verify(purpose, keyId, bytes, signature);
      if (verdict !== 'good') return verdict;
      good.add(name);
      for (const oldest of good) {
        if (good.size <= countMax) break;
        good.delete(oldest);
      }
      return verdict;
    },
  };
}

type Key = { readonly id: KeyId; readonly open: KeyObject; readonly secret: KeyObject | undefined };

type Signer = { readonly id: KeyId; readonly secret: KeyObject };

function keyringOf(signing: Signer, others: readonly Signer[], keys: ReadonlyMap<KeyId, KeyObject>): Keyring {
  const signBy = ({ secret }: Signer, purpose: string, bytes: Uint8Array) => sign(null, messageOf(purpose, bytes), secret);
  return {
    keyId: signing.id,
    keyIds: [...keys.keys()],
    sign: (purpose, bytes) => signBy(signing, purpose, bytes),
    signAll: (purpose, bytes) => [signing, ...others].map((signer) => signBy(signer, purpose, bytes)),
    verify(purpose, signer, bytes, signature) {
      const key = keys.get(signer);
      if (key === undefined) return 'unknown-key';
      return signature.byteLength === SIGNATURE_BYTES && verify(null, messageOf(purpose, bytes), key, signature) ? 'good' : 'bad';
    },
  };
}

/** The purpose, a byte that no purpose has, and the bytes: no two pairs give the same message. */
function messageOf(purpose: string, bytes: Uint8Array): Uint8Array {
  return Buffer.concat([Buffer.from(`switchyard ${purpose}`), Buffer.from([0]), bytes]);
}

function keyOf(block: string, kind: string, index: number): Key {
  const bad = (why: string, cause?: unknown) =>
    new Fault('CONFIG_INVALID', `Key ${index + 1} ${why}: want an Ed25519 key as "openssl genpkey -algorithm ed25519" makes it`, { cause });
  if (kind !== 'PRIVATE KEY' && kind !== 'PUBLIC KEY') throw bad(`is a "${kind}"`);
  let secret: KeyObject | undefined;
  let open: KeyObject;
  try {
    secret = kind === 'PRIVATE KEY' ? createPrivateKey(block) : undefined;
    open = createPublicKey(secret ?? block);
  } catch (error) {
    throw bad('cannot be read', error);
  }
  if (open.asymmetricKeyType !== 'ed25519') throw bad(`is of the type ${open.asymmetricKeyType}`);
  const id = createHash('sha256')
    .update(open.export({ type: 'spki', format: 'der' }))
    .digest('hex')
    .slice(0, 16);
  return { id, open, secret };
}

function newKeyText(): string {
  return generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch (error) {
    if (codeOf(error) === 'ENOENT') return undefined;
    throw new Fault('CONFIG_INVALID', `The file of signing keys ${path} cannot be read`, { field: 'signingKeyFile', cause: error });
  }
}

function made(path: string): string {
  const temporary = `${path}.${process.pid}.${randomBytes(4).toString('hex')}`;
  try {
    writeFileSync(temporary, newKeyText(), { mode: 0o600, flag: 'wx' });
    try {
      linkSync(temporary, path); // takes no place that is taken
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    } finally {
      rmSync(temporary, { force: true });
    }
    return readFileSync(path, 'utf8');
  } catch (error) {
    throw new Fault('CONFIG_INVALID', `The file of signing keys ${path} cannot be made`, { field: 'signingKeyFile', cause: error });
  }
}
