import { createPrivateKey, createPublicKey, sign, verify, type KeyObject } from 'node:crypto';
import { bits, identifier, implicit, integer, octets, sequence, set, tagged } from './der.ts';

/** What somebody who holds a key asks of an authority: that it signs a certificate for the key. */
export type SigningRequest = {
  /** On P-256, and the request shows that whoever made it holds the private one. */
  readonly publicKey: KeyObject;
  /** Whether the request wants no other name than this one. */
  wants(uri: string): boolean;
};

const ECDSA_SHA256 = sequence(identifier('1.2.840.10045.4.3.2'));
/** No request that we take is longer: a key on P-256, a signature and a name. */
const BYTES_MAX = 2_048;

/** A request (PKCS #10, DER) for the key; with `uri`, for a certificate of exactly that name. `key` is PEM and stays here. */
export function newSigningRequest(key: string, uri?: string): Buffer {
  const privateKey = createPrivateKey(key);
  const publicKey = createPublicKey(privateKey).export({ type: 'spki', format: 'der' });
  const content = sequence(integer(Buffer.from([0])), sequence(), publicKey, attributesFor(uri));
  return sequence(content, ECDSA_SHA256, bits(sign('sha256', content, privateKey)));
}

/**
 * The request, or what is wrong with it. One form is taken, which `newSigningRequest` and OpenSSL with an empty subject write: whatever
 * else somebody asks for, such as a subject, is not looked at but refused.
 */
export function readSigningRequest(bytes: Uint8Array): SigningRequest | { readonly problem: string } {
  const der = Buffer.from(bytes);
  if (der.byteLength > BYTES_MAX) return { problem: `it has ${der.byteLength} bytes, at most ${BYTES_MAX} are taken` };
  const whole = nodesIn(der)?.[0];
  const [content, algorithm, signature, ...more] = whole === undefined ? [] : (nodesIn(whole.body) ?? []);
  if (whole?.tag !== SEQUENCE || whole.all.byteLength !== der.byteLength || content === undefined || more.length > 0) return NOT_ONE;
  if (algorithm?.all.equals(ECDSA_SHA256) !== true) return { problem: 'it must be signed with ECDSA and SHA-256' };
  if (signature?.tag !== BITS || signature.body[0] !== 0) return NOT_ONE;
  const [version, subject, key, attributes, ...rest] = nodesIn(content.body) ?? [];
  if (version?.all.equals(integer(Buffer.from([0]))) !== true || attributes === undefined || rest.length > 0) return NOT_ONE;
  if (subject?.all.equals(sequence()) !== true) return { problem: 'it must have an empty subject: names come from the credential' };
  const publicKey = key === undefined ? undefined : keyOf(key.all);
  if (publicKey === undefined) return { problem: 'its key must be on P-256' };
  if (!verify('sha256', content.all, publicKey, signature.body.subarray(1))) return { problem: 'its signature is not that of its key' };
  const wanted = attributes.all;
  return { publicKey, wants: (uri) => wanted.equals(attributesFor(undefined)) || wanted.equals(attributesFor(uri)) };
}

const SEQUENCE = 0x30;
const BITS = 0x03;
const NOT_ONE = { problem: 'it is no certificate signing request (PKCS #10, DER)' } as const;

/** The attributes of a request: none, or the extension that names the URI. */
function attributesFor(uri: string | undefined): Buffer {
  if (uri === undefined) return tagged(0);
  const names = sequence(identifier('2.5.29.17'), octets(sequence(implicit(6, Buffer.from(uri)))));
  return tagged(0, sequence(identifier('1.2.840.113549.1.9.14'), set(sequence(names))));
}

function keyOf(der: Buffer): KeyObject | undefined {
  try {
    const key = createPublicKey({ key: der, type: 'spki', format: 'der' });
    return key.asymmetricKeyType === 'ec' && key.asymmetricKeyDetails?.namedCurve === 'prime256v1' ? key : undefined;
  } catch {
    return undefined;
  }
}

type Node = { readonly tag: number; readonly body: Buffer; readonly all: Buffer };

/** The values that stand one after another; undefined where a length is not what DER allows or leads out of the bytes. */
function nodesIn(bytes: Buffer): readonly Node[] | undefined {
  const nodes: Node[] = [];
  for (let at = 0; at < bytes.byteLength;) {
    const tag = bytes[at] ?? 0;
    const first = bytes[at + 1];
    if (first === undefined || (first > 0x80 && first !== 0x81 && first !== 0x82) || first === 0x80) return undefined;
    const digits = first < 0x80 ? 0 : first - 0x80;
    if (at + 2 + digits > bytes.byteLength) return undefined;
    const length = digits === 0 ? first : bytes.readUIntBE(at + 2, digits);
    const start = at + 2 + digits;
    if (start + length > bytes.byteLength) return undefined;
    nodes.push({ tag, body: bytes.subarray(start, start + length), all: bytes.subarray(at, start + length) });
    at = start + length;
  }
  return nodes;
}
