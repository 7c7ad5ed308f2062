import { createServer, type RequestListener, type Server, type ServerOptions } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import type { ServerTls } from './server-tls.ts';
import type { TlsMaterial } from './tls-source.ts';

/** An HTTP server, over TLS where that is given: clients are asked for a certificate, and taken without one. */
export function openHttpServer(limits: ServerOptions, tls: Pick<ServerTls, 'source'> | undefined, answer: RequestListener): Server {
  if (tls === undefined) return createServer(limits, answer);
  const contextOf = ({ ca, own }: TlsMaterial) => ({ ca, ...own });
  const first = tls.source.current();
  const server = createSecureServer(
    { ...limits, ...contextOf(first), requestCert: first.ca !== undefined, rejectUnauthorized: false },
    answer,
  );
  const watch = tls.source.onChange((material) => server.setSecureContext(contextOf(material)));
  server.once('close', () => watch[Symbol.dispose]());
  return server;
}
