import type { Http2SecureServer, Http2Server, IncomingHttpHeaders, ServerHttp2Stream } from 'node:http2';

type OnStream = (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, ...rest: readonly unknown[]) => void;

/** Sees each call of a server before whoever handles it by now, who gets it by `next`. */
export function inFront(
  server: Http2Server | Http2SecureServer,
  see: (stream: ServerHttp2Stream, headers: IncomingHttpHeaders, next: () => void) => void,
): void {
  const handlers = server.listeners('stream') as unknown as readonly OnStream[]; // what Node calls them with
  server.removeAllListeners('stream');
  const onStream: OnStream = (stream, headers, ...rest) =>
    see(stream, headers, () => {
      for (const handle of handlers) handle.call(server, stream, headers, ...rest);
    });
  server.on('stream', onStream);
}
