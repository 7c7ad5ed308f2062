import type { Metadata, ServiceDefinition, UntypedHandleCall, UntypedServiceImplementation } from '@grpc/grpc-js';
import { assert } from '../base/assert.ts';
import type { AuditSink } from '../base/audit.ts';
import { nameOf, type Authenticator, type Evidence, type Identity } from '../base/auth.ts';
import { isFault, type Fault } from '../base/fault.ts';
import type { OpenCalls } from './open-calls.ts';
import { permissionOf, permit, type Permission } from './permissions.ts';

/** What of a call tells who makes it. */
type Caller = {
  readonly metadata: Metadata;
  /** The header, where it is at hand without the metadata. */
  readonly authorization?: string | undefined;
  getPeer(): string;
};

/** What tells who calls. */
export type Admitting = {
  readonly authenticator: Authenticator;
  /** What is known of the connection from that peer, host:port, where it is one over TLS. */
  readonly tlsOf: (peer: string) => Evidence['tls'];
  /** Takes note of calls that are refused for who makes them. @default nobody */
  readonly audit?: AuditSink | undefined;
  /** Ends streams whose credential counts no more. @default nobody does */
  readonly openCalls?: OpenCalls | undefined;
};

/** A call before its handler. */
export interface Admission {
  /** Who makes the call, if that one may; undefined where everybody may. @throws {Fault} UNAUTHENTICATED, FORBIDDEN */
  admit(): Identity | undefined | Promise<Identity>;
  /** Lets the call, a stream, be ended once its credential counts no more. */
  opened(abort: (fault: Fault) => void): Disposable | undefined;
  /** Takes note of why the call failed, where that is who makes it. */
  failed(error: unknown): void;
  /** host:port of the connection. */
  readonly peer: string;
}

/** Where a call keeps its own: a map of all calls would cost each of them more than its admission does. */
const ADMISSION = Symbol('admission');
type WithAdmission = { [ADMISSION]?: Admission };

/**
 * The handlers, each with its rpc's permission before it: what `proto/handlers.ts` makes of a function runs once its admission has told
 * who calls. @throws {Fault} INTERNAL where an rpc has no permission
 */
export function withAdmission(
  definition: ServiceDefinition,
  handlers: UntypedServiceImplementation,
  admitting: Admitting,
): UntypedServiceImplementation {
  const guarded: UntypedServiceImplementation = {};
  for (const [name, { path, originalName = name }] of Object.entries(definition)) {
    const permission = permissionOf(path);
    const handler = handlers[name] ?? handlers[originalName];
    if (handler === undefined) continue;
    guarded[name] = before(handler, (call: Caller & WithAdmission) => {
      call[ADMISSION] = new Admitted(call, path, permission, admitting);
    });
  }
  return guarded;
}

/** The admission of a call. */
export function admissionOf(call: object): Admission {
  const admission = (call as WithAdmission)[ADMISSION];
  assert(admission !== undefined, 'handlers are served with admission');
  return admission;
}

class Admitted implements Admission {
  readonly #call: Caller;
  readonly #path: string;
  readonly #permission: Permission;
  readonly #admitting: Admitting;
  #identity: Identity | undefined;

  constructor(call: Caller, path: string, permission: Permission, admitting: Admitting) {
    this.#call = call;
    this.#path = path;
    this.#permission = permission;
    this.#admitting = admitting;
  }

  admit(): Identity | undefined | Promise<Identity> {
    if (this.#permission === 'open') return undefined;
    const { authenticator, tlsOf } = this.#admitting;
    const identity = authenticator.identify(evidenceOf(this.#call, tlsOf));
    return isPromise(identity) ? identity.then((known) => this.#permitted(known)) : this.#permitted(identity);
  }

  #permitted(identity: Identity): Identity {
    this.#identity = identity;
    permit(this.#path, this.#permission, identity);
    this.#admitting.openCalls?.seen(identity);
    return identity;
  }

  opened(abort: (fault: Fault) => void): Disposable | undefined {
    const { openCalls } = this.#admitting;
    return this.#identity === undefined ? undefined : openCalls?.opened(this.#identity, abort);
  }

  failed(error: unknown): void {
    const { audit } = this.#admitting;
    // What an open rpc refuses it notes by itself: it knows more of it.
    if (audit === undefined || this.#permission === 'open') return;
    if (!isFault(error, 'UNAUTHENTICATED') && !isFault(error, 'FORBIDDEN')) return;
    const actor = this.#identity === undefined ? '' : nameOf(this.#identity);
    audit.note({ act: 'call', outcome: 'refused', actor, subject: this.#path.slice(1), detail: error.message, peer: this.peer });
  }

  get peer(): string {
    return this.#call.getPeer();
  }
}

function before(handler: UntypedHandleCall, run: (call: Caller) => void): UntypedHandleCall {
  const call = handler as (call: Caller, answer: unknown) => void; // what the four kinds of handlers have in common
  return ((made: Caller, answer: unknown) => {
    run(made);
    call(made, answer);
  }) as UntypedHandleCall;
}

export function isPromise<T extends object>(value: T | undefined | Promise<T>): value is Promise<T> {
  return value !== undefined && 'then' in value;
}

function evidenceOf(call: Caller, tlsOf: Admitting['tlsOf']): Evidence {
  const authorization =
    'authorization' in call ? call.authorization : call.metadata.get('authorization').find((value) => typeof value === 'string');
  const peer = call.getPeer();
  return { authorization, loopback: isLoopback(peer), tls: tlsOf(peer) };
}

/** Whether a peer of the form host:port is on this host. */
export function isLoopback(peer: string): boolean {
  return /^(127\.|\[?::1\]?:|\[?::ffff:127\.)/.test(peer);
}
