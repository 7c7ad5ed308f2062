import type { Fault } from '../../base/fault.ts';
import { bazelProtocol } from './bazel.ts';
import { json, text } from './exchange.ts';
import { keyedProtocol } from './keyed.ts';
import { statusOf, type Protocol } from './protocol.ts';

/** The protocols of one server. Their paths do not overlap: the first pattern that fits is the one. */
export function protocols(): readonly Protocol[] {
  return [ccache, gradle, turborepo, nx, bazelProtocol];
}

const TURBO_HEADERS = {
  'x-artifact-duration': 32,
  'x-artifact-tag': 600,
  'x-artifact-sha': 128,
  'x-artifact-dirty-hash': 128,
  'x-artifact-client-ci': 128,
  'x-artifact-client-interactive': 16,
};

/** Turborepo's remote cache, v8. Which team the client names is not asked: the token says whose it is. */
const turborepo = keyedProtocol({
  name: 'turbo',
  pattern: /^\/(?:(?<instance>.+?)\/)?v8\/artifacts\/(?<key>[A-Za-z0-9_-]{1,128})$/,
  contentType: 'application/octet-stream',
  replayed: TURBO_HEADERS,
  rewrites: true,
  stored: json(202, { urls: [] }),
  others: {
    'GET status': async () => json(200, { status: 'enabled' }),
    'POST events': async () => json(200, {}), // what it says of hits in its own cache is not kept
  },
  // Asked before each request with TURBO_PREFLIGHT=1: where to send it (here), and whether with the token. Nothing is said to browsers.
  beforehand: (method) =>
    method === 'OPTIONS'
      ? {
          status: 200,
          headers: {
            'access-control-allow-methods': 'GET, HEAD, PUT, POST',
            'access-control-allow-headers': ['Authorization', 'Content-Type', 'User-Agent', ...Object.keys(TURBO_HEADERS)].join(', '),
          },
        }
      : undefined,
  // It sends a request again for each 5xx: only what passes by itself may say so.
  statusFor: (fault) => (statusOf(fault) === 507 || statusOf(fault) === 500 ? 412 : statusOf(fault)),
  refused: (fault, status) => json(status, { error: { code: TURBO_CODES[status] ?? 'bad_request', message: sentence(fault) } }),
});

const TURBO_CODES: Readonly<Record<number, string>> = {
  401: 'unauthorized',
  403: 'forbidden',
  404: 'not_found',
  412: 'precondition_failed',
  413: 'payload_too_large',
  429: 'rate_limited',
  503: 'service_unavailable',
};

/**
 * Nx' self-hosted cache. The first body of a key stays. Any answer that it does not expect fails the whole build, and so there is never
 * a 5xx: what cannot be read is not there, what cannot be stored is refused, and the log says why.
 */
const nx = keyedProtocol({
  name: 'nx',
  pattern: /^\/(?:(?<instance>.+?)\/)?v1\/cache\/(?<key>[A-Za-z0-9_-]{1,128})$/,
  contentType: 'application/octet-stream',
  rewrites: false,
  taken: text(409, 'Something is kept under this key already\n'),
  stored: { status: 200 },
  statusFor: (fault, method) => {
    if (fault.code === 'UNAUTHENTICATED') return 401;
    return method === 'PUT' || fault.code === 'FORBIDDEN' ? 403 : 404;
  },
});

/**
 * Gradle's HTTP build cache. Anything but 2xx, 404 and 413 turns the cache off for the rest of the build, which then finds nothing more
 * either: what is not stored, for whatever reason, is answered 413, and the body says why.
 */
const gradle = keyedProtocol({
  name: 'gradle',
  pattern: /^\/(?:(?<instance>.+?)\/)?gradle\/(?<key>[A-Za-z0-9]{1,128})$/,
  contentType: 'application/vnd.gradle.build-cache-artifact.v2',
  rewrites: true,
  stored: { status: 200 },
  statusFor: (fault, method) => {
    if (fault.code === 'UNAUTHENTICATED') return 401;
    return method === 'PUT' ? 413 : fault.code === 'FORBIDDEN' ? 403 : 404;
  },
});

/** ccache's HTTP storage in each of its layouts: whatever it puts below its own path, also what looks like Bazel's. */
const ccache = keyedProtocol({
  name: 'ccache',
  pattern: /^\/(?:(?<instance>.+?)\/)?ccache\/(?<key>[A-Za-z0-9_-]{1,128}(?:\/[A-Za-z0-9_-]{1,128}){0,3})$/,
  contentType: 'application/octet-stream',
  rewrites: true,
  stored: { status: 200 },
  deletes: true,
});

function sentence({ message, hint }: Fault): string {
  return hint === undefined ? message : `${message}. ${hint}`;
}
