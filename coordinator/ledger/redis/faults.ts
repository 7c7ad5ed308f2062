import { Fault, isFault } from '../../../base/fault.ts';

type Meaning = {
  readonly what: string;
  readonly hint: string;
  /** Whether it may go away by itself, or by what an operator does meanwhile: worth trying again in the term's time. */
  readonly passing: boolean;
};

const CREDENTIAL_HINT = 'Check user and password (--redis-password-file) and that the user may run the commands that docs/redis.md lists.';

/** What Redis' error codes, the first word of an answer, mean for an operator. */
const MEANINGS: Readonly<Record<string, Meaning>> = {
  OOM: {
    what: 'has no memory left for writes',
    hint: 'Raise maxmemory, or let builds leave sooner (--retention). Keep maxmemory-policy noeviction: evicting would lose builds.',
    passing: true,
  },
  READONLY: {
    what: 'is a replica, which takes no writes',
    hint: 'Give the address of the master, or use redis-sentinel:// or redis-cluster:// so that failovers are followed.',
    passing: true,
  },
  MISCONF: {
    what: 'refuses writes because it cannot save to disk',
    hint: "Make room on the disk of Redis, or repair it; Redis' own log has the cause.",
    passing: true,
  },
  NOREPLICAS: {
    what: 'has fewer replicas than it or --redis-durability replicas asks for',
    hint: 'Bring its replicas back: --redis-replicas and min-replicas-to-write say how many there must be.',
    passing: true,
  },
  LOADING: { what: 'is still loading its data', hint: 'Wait until it has.', passing: true },
  BUSY: {
    what: 'is busy with a script that takes too long',
    hint: 'Find the script with SLOWLOG GET; Redis serves others only.',
    passing: true,
  },
  CLUSTERDOWN: { what: 'is a cluster that is down', hint: 'Look at CLUSTER INFO and CLUSTER NODES: a slot has no master.', passing: true },
  TRYAGAIN: { what: 'is moving the slot of the ledger', hint: 'Wait until the cluster has moved it.', passing: true },
  MASTERDOWN: { what: 'is a replica that has lost its master', hint: 'Bring the master back.', passing: true },
  WRONGPASS: { what: 'does not take the user and password', hint: CREDENTIAL_HINT, passing: false },
  NOAUTH: { what: 'wants a password', hint: CREDENTIAL_HINT, passing: false },
  NOPERM: { what: 'does not let this user do that', hint: CREDENTIAL_HINT, passing: false },
  WRONGTYPE: {
    what: 'holds something else under the names of the ledger',
    hint: 'Give the ledger a prefix or a database of its own (--redis-prefix).',
    passing: false,
  },
};

/** Errors of Node's sockets and of ioredis' connections that mean: not connected, or not any more. */
const CONNECTION = new RegExp(
  [
    'ECONNREFUSED|ECONNRESET|EPIPE|ETIMEDOUT|EHOSTUNREACH|ENETUNREACH|ENOTFOUND|EAI_AGAIN|ENOENT|EMFILE',
    "Connection is closed|isn't writeable|isn't ready|Socket (timeout|closed)|timed out|timeout",
    'Reached the max retries per request|Failed to refresh slots|Too many Cluster redirections|None of startup nodes|All sentinels|sentinels are unreachable',
  ].join('|'),
  'i',
);

const TLS = /certificate|self-signed|altnames|SSL routines|wrong version number|tlsv1|EPROTO|ERR_TLS|ERR_SSL/i;

/**
 * `error` of a call as a fault that says what Redis said and what to do. Our own faults pass as they are. `where` names the
 * server and holds no password.
 */
export function redisFault(error: unknown, where: string): Fault {
  if (error instanceof Fault) return error;
  const raw = messageOf(error);
  const text = plainText(raw);
  const meaning = MEANINGS[codeOf(text)];
  const unavailable = (message: string, hint: string) => new Fault('LEDGER_UNAVAILABLE', message, { hint, cause: error });
  if (meaning !== undefined) return unavailable(`Redis at ${where} ${meaning.what} (${text})`, meaning.hint);
  if (TLS.test(raw)) {
    return unavailable(
      `Redis at ${where} cannot be trusted, or speaks no TLS (${text})`,
      'Check --redis-ca-file, the name in its certificate, and whether the URL should begin with redis:// or rediss://.',
    );
  }
  if (CONNECTION.test(raw))
    return unavailable(
      `Redis at ${where} cannot be reached (${text})`,
      'Check that it runs, that the address is right, and that no firewall stands between.',
    );
  return unavailable(`Redis at ${where} failed: ${text}`, "Redis' own log may have the cause.");
}

/** Whether it is worth trying again: the next answer may be another. */
export function isPassing(error: unknown): boolean {
  if (isFault(error)) return false;
  const text = messageOf(error);
  const meaning = MEANINGS[codeOf(text)];
  return meaning === undefined ? CONNECTION.test(text) || /^(MOVED|ASK|UNBLOCKED)\b/.test(text) : meaning.passing;
}

/** What the client library says in its own terms, in words that need no knowledge of it. */
const WORDS: readonly (readonly [RegExp, string])[] = [
  [/; (?:Stream isn't writeable|Cluster isn't ready) and enableOfflineQueue options is false/g, ''], // the reason stands before it
  [/Stream isn't writeable and enableOfflineQueue options is false/g, 'there is no connection'],
  [/Cluster isn't ready and enableOfflineQueue options is false/g, 'there is no connection to the cluster'],
  [/Socket timeout\. Expecting data, but didn't receive any in (\d+)ms\./g, 'no answer came within $1 ms'],
  [/timed out after (\d+) ms/g, 'no answer came within $1 ms'],
  [/connect ETIMEDOUT/g, 'no connection could be made in time'],
  [/Connection is closed\./g, 'the connection broke'],
  [
    /Reached the max retries per request limit \(which is \d+\)\.(?: Refer to "maxRetriesPerRequest" option for details\.)?/g,
    'the connection broke',
  ],
  [/Failed to refresh slots cache\./g, 'no node of the cluster says which node has what'],
  [/None of startup nodes is available/g, 'no node of the cluster answers'],
  [
    /All sentinels are unreachable(?: and retry is disabled)?\.(?: Retrying from scratch after \d+ms\.)?(?: Last error: )?/g,
    'no sentinel answers: ',
  ],
];

/** `text` as an operator should read it. */
export function plainText(text: string): string {
  return WORDS.reduce((plain, [library, words]) => plain.replaceAll(library, words), text);
}

export function messageOf(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  // ioredis says why at the innermost error only.
  const inner = 'lastNodeError' in error ? error.lastNodeError : undefined;
  return inner instanceof Error ? `${error.message} ${inner.message}` : error.message || error.name;
}

function codeOf(text: string): string {
  return /^-?([A-Z]+)\b/.exec(text)?.[1] ?? '';
}
