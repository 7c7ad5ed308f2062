import { once } from 'node:events';
import { connect, type ClientHttp2Session, type ClientHttp2Stream, type IncomingHttpHeaders } from 'node:http2';

/**
 * Calls of gRPC with as little work as possible, over plain HTTP/2: requests are encoded before the clock runs and answers
 * are not decoded, so that on a host of few cores the server under test gets most of them.
 */
export interface GrpcLoad extends Disposable {
  /** One request, one answer. Resolves to the bytes of the answer's frames. */
  unary(path: string, frame: Uint8Array): Promise<number>;
  /** One request, many answers, which are read and dropped. Resolves to the bytes of their frames. */
  read(path: string, frame: Uint8Array): Promise<number>;
  /** Many requests, one answer; sent as fast as the server takes them. */
  write(path: string, frames: Iterable<Uint8Array>): Promise<number>;
}

/** What a server may send ahead on a stream and on a connection, so that a long way does not slow it. */
const WINDOW_BYTES = 16 * 1024 * 1024;
/** Most that a connection of the load keeps in memory, in MiB. */
const SESSION_MIB = 1_024;
const HEADERS = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };

/** A gRPC message with its prefix: not compressed, four bytes of length. */
export function grpcFrame(message: Uint8Array): Buffer {
  const frame = Buffer.allocUnsafe(5 + message.byteLength);
  frame.writeUInt8(0);
  frame.writeUInt32BE(message.byteLength, 1);
  frame.set(message, 5);
  return frame;
}

/** Opens so many connections to `address`; calls take them in turns. @throws Error where a connection cannot be made. */
export async function openGrpcLoad(address: string, connections: number): Promise<GrpcLoad> {
  const sessions: ClientHttp2Session[] = [];
  for (let index = 0; index < connections; index += 1) {
    const session = connect(`http://${address}`, {
      settings: { initialWindowSize: WINDOW_BYTES, enablePush: false },
      maxSessionMemory: SESSION_MIB, // what hundreds of calls have on their way is more than the default of 10
    });
    session.setMaxListeners(0);
    await once(session, 'connect');
    session.setLocalWindowSize(WINDOW_BYTES);
    session.on('error', () => {}); // the calls on it fail, and say why
    sessions.push(session);
  }
  let turn = 0;
  const start = (path: string): ClientHttp2Stream => {
    turn += 1;
    const session = sessions[turn % sessions.length];
    if (session === undefined) throw new Error('There are no connections');
    return session.request({ ...HEADERS, ':path': path });
  };
  const single = (path: string, frame: Uint8Array): Promise<number> => {
    const stream = start(path);
    stream.end(frame);
    return answerOf(stream, path);
  };
  return {
    unary: single,
    read: single,
    async write(path, frames) {
      const stream = start(path);
      const answer = answerOf(stream, path);
      const over = answer.then(
        () => true,
        () => true,
      );
      for (const frame of frames) {
        if (stream.write(frame)) continue;
        if ((await Promise.race([over, once(stream, 'drain')])) === true) break; // answered before the end
      }
      if (!stream.destroyed) stream.end();
      return answer;
    },
    [Symbol.dispose]() {
      for (const session of sessions) session.destroy();
    },
  };
}

/** Reads a call to its end. @throws Error where its status is not OK. */
function answerOf(stream: ClientHttp2Stream, path: string): Promise<number> {
  return new Promise((resolve, reject) => {
    let bytes = 0;
    let status: IncomingHttpHeaders | undefined;
    const note = (headers: IncomingHttpHeaders) => {
      if (headers['grpc-status'] !== undefined) status = headers;
    };
    stream.on('response', note);
    stream.on('trailers', note);
    stream.on('data', (chunk: Buffer) => {
      bytes += chunk.byteLength;
    });
    stream.on('error', reject);
    stream.on('close', () => {
      if (status?.['grpc-status'] === '0') resolve(bytes);
      else reject(new Error(`${path}: status ${String(status?.['grpc-status'])} ${String(status?.['grpc-message'])}`));
    });
  });
}
