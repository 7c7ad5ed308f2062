/** What may happen that is kept; `trust`: something was to be taken, or kept, that is not trusted as far. */
export const AUDIT_ACTS = ['call', 'register', 'token-create', 'token-revoke', 'enrol', 'renew', 'deny', 'allow', 'trust'] as const;
export type AuditAct = (typeof AUDIT_ACTS)[number];

/** One thing that happened. No part of a secret is ever in it. */
export type AuditNote = {
  readonly act: AuditAct;
  readonly outcome: 'ok' | 'refused';
  /** Who did it, as verified; or as it says of itself, where nothing was verified. */
  readonly actor: string;
  /** Whom or what it was about. */
  readonly subject: string;
  /** What was done; or why it was refused, as the caller was told. */
  readonly detail: string;
  /** Address of the connection, host:port; empty where there was none. */
  readonly peer: string;
};

/** Takes notes at any time, and keeps nobody waiting for it. */
export interface AuditSink {
  note(note: AuditNote): void;
}
