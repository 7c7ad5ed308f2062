import type { IncomingMessage } from 'node:http';
import { TLSSocket } from 'node:tls';
import { isLoopback } from '../../base/address.ts';
import type { Evidence } from '../../base/auth.ts';
import type { ServerTls } from '../../base/server-tls.ts';

const LOOPBACK_PEER = /^(::ffff:)?127\.|^::1$/;

/**
 * What a request shows of its client: a bearer token, or a token as the password of basic authentication (as the user's name where the
 * password is empty), since some clients can send nothing else. A page in a browser on this host comes from loopback too, but no tool of
 * this host names another host or an origin: what does counts as from elsewhere.
 */
export function evidenceOf({ headers, socket }: IncomingMessage, tls: ServerTls | undefined): Evidence {
  const host = (headers.host ?? '').replace(/:\d+$/, '');
  const isLocal = LOOPBACK_PEER.test(socket.remoteAddress ?? '') && isLoopback(`${host}:0`) && headers.origin === undefined;
  return {
    authorization: bearerOf(headers.authorization),
    loopback: isLocal,
    tls: tls && socket instanceof TLSSocket ? { certificate: tls.peerOf(socket) } : undefined,
  };
}

function bearerOf(authorization: string | undefined): string | undefined {
  const basic = /^Basic\s+([A-Za-z0-9+/=_-]+)\s*$/i.exec(authorization ?? '')?.[1];
  if (basic === undefined) return authorization;
  const [, user = '', password = ''] = /^([^:]*):?(.*)$/s.exec(Buffer.from(basic, 'base64').toString()) ?? [];
  return `Bearer ${password === '' ? user : password}`;
}
