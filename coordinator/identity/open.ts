import { writeFile, rename } from 'node:fs/promises';
import type { Env } from '../../base/env.ts';
import { openAudit, type Audit } from './audit.ts';
import { openDenialBook, type DenialBook } from './denial-book.ts';
import { openEnrolments, type Enrolments } from './enrolments.ts';
import { openIssuer, type Issuer, type IssuerOptions } from './issuer.ts';
import type { IdentityStore } from './store.ts';

/** What a coordinator knows of identities beside tokens and authorities. */
export interface IdentityParts extends AsyncDisposable {
  readonly issuer: Issuer;
  readonly enrolments: Enrolments;
  readonly denials: DenialBook;
  readonly audit: Audit;
}

export type IdentityOptions = {
  readonly store: IdentityStore;
  readonly issuer: IssuerOptions;
  /** Where the data plane reads who is refused; written anew with each change. */
  readonly denialsFile: string;
  readonly auditRecords: number;
  /** Which process writes to the record. */
  readonly source: string;
  readonly env: Env;
};

/** @throws {Fault} CONFIG_INVALID, LEDGER_UNAVAILABLE */
export async function openIdentity({
  store,
  issuer: wanted,
  denialsFile,
  auditRecords,
  source,
  env,
}: IdentityOptions): Promise<IdentityParts> {
  await using stack = new AsyncDisposableStack();
  const issuer = openIssuer(wanted, env);
  const audit = stack.use(openAudit({ store, keep: auditRecords, source, env }));
  const denials = stack.use(await openDenialBook(store, env));
  let writing = writeDenials(denialsFile, denials);
  await writing;
  const write = () => {
    const next = writing.then(() => writeDenials(denialsFile, denials));
    writing = next.catch((error: unknown) => env.log.error('denials-not-written', { path: denialsFile, error }));
  };
  stack.use(denials.onChange(write));
  stack.defer(() => writing);
  const enrolments = openEnrolments(
    store,
    () => env.clock.now(),
    () => issuer.pin(),
  );
  const parts = stack.move();
  return { issuer, enrolments, denials, audit, [Symbol.asyncDispose]: () => parts.disposeAsync() };
}

/** Whole or not at all, for the data plane that reads it meanwhile. */
async function writeDenials(path: string, denials: DenialBook): Promise<void> {
  await writeFile(`${path}.new`, JSON.stringify(denials.list()), { mode: 0o600 });
  await rename(`${path}.new`, path);
}
