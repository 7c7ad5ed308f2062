import type { Http2SecureServer, Http2Server, Http2Session, ServerHttp2Stream } from 'node:http2';
import { constants } from 'node:http2';
import { Fault, isFault } from '../base/fault.ts';
import { isLoopback, isPromise, type Admitting } from './admission.ts';
import { inFront } from './in-front.ts';
import { faultToStatus } from './status.ts';

/** What a stream may send whose sender nobody knows: it holds any probe, and any question about what is served. */
const STRANGER_BYTES_MAX = 64 * 1024;

/**
 * Takes little from strangers. grpc-js puts a message together before anybody asks who sends it, and a connection has as many streams as
 * its client likes: whoever could connect could fill the memory. So each stream's sender is looked at first, and one that is not known is
 * told so once its stream has sent 64 KiB. Up to there `withAdmission` answers as it does anybody.
 */
export function sparingWithStrangers(server: Http2Server | Http2SecureServer, { authenticator, tlsOf }: Admitting): void {
  /** What the senders showed who were known, the last one of each connection: most connections have one. */
  const known = new WeakMap<Http2Session, string>();
  inFront(server, (stream, headers, go) => {
    const { session } = stream;
    const { authorization } = headers;
    if (session === undefined || known.get(session) === (authorization ?? '')) return go();
    const welcome = () => {
      known.set(session, authorization ?? '');
      go();
    };
    const beware = (error: unknown) => {
      cutAfter(STRANGER_BYTES_MAX, stream, isFault(error) ? error : new Fault('UNAUTHENTICATED', 'The credential could not be checked'));
      go();
    };
    try {
      const { remoteAddress = '', remotePort } = session.socket;
      const peer = `${remoteAddress}:${remotePort}`;
      const identity = authenticator.identify({ authorization, loopback: isLoopback(peer), tls: tlsOf(peer) });
      if (!isPromise(identity)) return welcome();
      stream.on('error', () => {}); // until grpc-js listens: who goes away meanwhile has no call yet
      identity.then(welcome, beware);
    } catch (error) {
      beware(error);
    }
  });
}

function cutAfter(bytesMax: number, stream: ServerHttp2Stream, fault: Fault): void {
  let bytes = 0;
  stream.on('data', (chunk: Uint8Array) => {
    bytes += chunk.byteLength;
    if (bytes <= bytesMax || stream.closed) return;
    const { code, details, metadata } = faultToStatus(fault);
    const status = { 'grpc-status': String(code), 'grpc-message': encodeURI(details) };
    if (!stream.headersSent) {
      stream.respond(
        { ':status': 200, 'content-type': 'application/grpc+proto', ...metadata?.toHttp2Headers(), ...status },
        { endStream: true },
      );
    }
    stream.close(constants.NGHTTP2_NO_ERROR);
  });
}
