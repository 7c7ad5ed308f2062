import type { Metadata, ServiceDefinition, UntypedHandleCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';
import type { Authenticator, Evidence, Identity } from '../base/auth.ts';
import { permissionOf, permit } from './permissions.ts';

/** What of a call tells who makes it. */
type Caller = { readonly metadata: Metadata; getPeer(): string };

/** What tells who calls. */
export type Admitting = {
  readonly authenticator: Authenticator;
  /** What is known of the connection from that peer, host:port, where it is one over TLS. */
  readonly tlsOf: (peer: string) => Evidence['tls'];
};

/** Who makes a call, if that one may. @throws {Fault} UNAUTHENTICATED, FORBIDDEN */
type Admission = () => Identity | Promise<Identity>;

const admissions = new WeakMap<object, Admission>();

/**
 * The handlers, each with its rpc's permission before it: what `proto/handlers.ts` makes of a function runs once `admitted` has told
 * who calls. @throws {Fault} INTERNAL where an rpc has no permission
 */
export function withAdmission(
  definition: ServiceDefinition,
  handlers: UntypedServiceImplementation,
  { authenticator, tlsOf }: Admitting,
): UntypedServiceImplementation {
  const guarded: UntypedServiceImplementation = {};
  for (const [name, { path, originalName = name }] of Object.entries(definition)) {
    const permission = permissionOf(path);
    const handler = handlers[name] ?? handlers[originalName];
    if (handler === undefined) continue;
    const admit = async (call: Caller): Promise<Identity> => {
      const identity = await authenticator.identify(evidenceOf(call, tlsOf));
      permit(path, permission, identity);
      return identity;
    };
    guarded[name] = permission === 'open' ? handler : before(handler, (call) => admissions.set(call, () => admit(call)));
  }
  return guarded;
}

/** Who makes the call. @throws {Fault} UNAUTHENTICATED, FORBIDDEN: what the call is answered with */
export async function admitted(call: object): Promise<Identity> {
  const admission = admissions.get(call);
  assert(admission !== undefined, 'handlers are served with admission');
  return admission();
}

function before(handler: UntypedHandleCall, run: (call: Caller) => void): UntypedHandleCall {
  const call = handler as (call: Caller, answer: unknown) => void; // what the four kinds of handlers have in common
  return ((made: Caller, answer: unknown) => {
    run(made);
    call(made, answer);
  }) as UntypedHandleCall;
}

function evidenceOf(call: Caller, tlsOf: Admitting['tlsOf']): Evidence {
  const authorization = call.metadata.get('authorization').find((value) => typeof value === 'string');
  const peer = call.getPeer();
  return { authorization, loopback: isLoopback(peer), tls: tlsOf(peer) };
}

/** Whether a peer of the form host:port is on this host. */
export function isLoopback(peer: string): boolean {
  return /^(127\.|\[?::1\]?:|\[?::ffff:127\.)/.test(peer);
}
