import { Fault } from '../../base/fault.ts';
import type { KeyPart } from '../entries/entry-store.ts';
import { sizeOf } from '../digest.ts';
import { headerOf, text, type FrontParts, type HttpAnswer, type HttpRequest } from './exchange.ts';
import { notAllowed, refused, statusOf, type Protocol } from './protocol.ts';

/** A protocol that keeps bodies, of which the server knows nothing, under keys of the client's choice. */
export type KeyedSpec = {
  /** First part of the entries' keys. */
  readonly name: string;
  readonly pattern: RegExp;
  /** Of bodies, as the client wants them back. */
  readonly contentType: string;
  /** Headers of a PUT that come back with the body, and the longest of each. */
  readonly replayed?: Readonly<Record<string, number>>;
  /** Whether a later body takes the place of an earlier one; `taken` is the answer where it does not. */
  readonly rewrites: boolean;
  readonly taken?: HttpAnswer;
  readonly stored: HttpAnswer;
  readonly deletes?: boolean;
  /** What else the protocol has at its paths, by method and key. */
  readonly others?: Readonly<Record<string, (parts: FrontParts, request: HttpRequest) => Promise<HttpAnswer>>>;
  readonly beforehand?: Protocol['beforehand'];
  /** @default what HTTP has for the fault */
  readonly statusFor?: (fault: Fault, method: string) => number;
  /** @default the fault in words */
  readonly refused?: (fault: Fault, status: number) => HttpAnswer;
};

export function keyedProtocol(spec: KeyedSpec): Protocol {
  const methods = ['GET', 'HEAD', 'PUT', ...(spec.deletes === true ? ['DELETE'] : [])];
  return {
    name: spec.name,
    pattern: spec.pattern,
    ...(spec.beforehand === undefined ? {} : { beforehand: spec.beforehand }),
    async answer(parts, request) {
      const other = spec.others?.[`${request.method} ${request.key}`];
      if (other !== undefined) return other(parts, request);
      const key = `${spec.name}/${request.key}`;
      if (request.method === 'GET' || request.method === 'HEAD') return get(parts, request, key, spec);
      if (request.method === 'PUT') return put(parts, request, key, spec);
      if (request.method === 'DELETE' && spec.deletes === true) {
        const wasThere = await parts.entries.drop(request.view, key, request.signal);
        return wasThere ? { status: 204 } : text(404, 'Nothing is kept under this key in your scope\n');
      }
      return notAllowed(methods);
    },
    refusal(fault, method) {
      const status = spec.statusFor?.(fault, method) ?? statusOf(fault);
      return (spec.refused ?? refused)(fault, status);
    },
  };
}

async function get({ entries }: FrontParts, { method, view, signal }: HttpRequest, key: string, spec: KeyedSpec): Promise<HttpAnswer> {
  const found = await entries.find(view, key, signal);
  if (found === undefined) return text(404, `Nothing is kept under this key in ${view.reads.join(', ')}\n`);
  const headers: Record<string, string> = { 'content-type': spec.contentType };
  for (const { name, value } of found.headers) headers[name] = value;
  const bytes = sizeOf(found.body);
  const chunks = method === 'HEAD' ? nothing() : await entries.open(view, found.body, signal);
  return { status: 200, headers, body: { chunks, bytes } };
}

async function put({ entries, spool }: FrontParts, request: HttpRequest, key: string, spec: KeyedSpec): Promise<HttpAnswer> {
  const { view, signal } = request;
  const headers = replayedOf(request, spec);
  const isTaken = await entries.has(view, key, signal); // also says who may not store, before the body comes
  if (isTaken && !spec.rewrites && spec.taken !== undefined) return spec.taken;
  await using body = await spool.spool(request.body, signal);
  await entries.store(view, body.digest, body.source, signal);
  const isKept = await entries.keep(view, key, { body: body.digest, headers }, { replace: spec.rewrites }, signal);
  return isKept || spec.taken === undefined ? spec.stored : spec.taken;
}

function replayedOf({ headers }: HttpRequest, { replayed = {} }: KeyedSpec): readonly KeyPart[] {
  return Object.entries(replayed).flatMap(([name, lengthMax]) => {
    const value = headerOf(headers, name);
    if (value === undefined) return [];
    if (value.length > lengthMax) {
      throw new Fault('BAD_REQUEST', `The header ${name} has ${value.length} characters; at most ${lengthMax} are kept`, { field: name });
    }
    return [{ name, value }];
  });
}

/** The body of an answer to HEAD. */
export async function* nothing(): AsyncGenerator<Uint8Array, void, undefined> {}
