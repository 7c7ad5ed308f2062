/**
 * The two processes of the floor: a server that writes each unit to Redis once and then pushes it to the next of its
 * workers, and a worker that notes when a unit arrives. Nothing is scheduled, checked, leased or reported back.
 */
import { credentials, Client, Server, ServerCredentials, type ServerWritableStream } from '@grpc/grpc-js';
import { Redis } from 'ioredis';
import { systemClock } from '../../base/clock.ts';
import { bytes, SUBMIT, WORK } from './floor-wire.ts';
import { hostMicros } from './host-micros.ts';

export type FloorOrder = { readonly kind: 'serve'; readonly redis: string } | { readonly kind: 'work'; readonly address: string };

export type FloorNews =
  | { readonly kind: 'serving'; readonly address: string }
  | { readonly kind: 'ready' }
  | { readonly kind: 'started'; readonly starts: readonly (readonly [string, number])[] };

/** Starts are told of in bundles. */
const NEWS_MS = 50;

async function serveFloor(url: string, tell: (news: FloorNews) => void): Promise<void> {
  const redis = new Redis(url);
  const workers: ServerWritableStream<Buffer, Buffer>[] = [];
  let turn = 0;
  const server = new Server();
  server.addService(
    { Submit: SUBMIT, Work: WORK },
    {
      Submit(call: { readonly request: Buffer }, answer: (error: Error | null, value?: Buffer) => void) {
        const name = call.request.subarray(0, call.request.indexOf(0)).toString();
        redis.hset('{floor}units', name, call.request).then(
          () => {
            answer(null, Buffer.alloc(0));
            turn += 1;
            workers[turn % workers.length]?.write(call.request);
          },
          (error: Error) => answer(error),
        );
      },
      Work(call: ServerWritableStream<Buffer, Buffer>) {
        workers.push(call);
        call.write(Buffer.alloc(0));
      },
    },
  );
  const port = await new Promise<number>((resolve, reject) => {
    server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, bound) =>
      error === null ? resolve(bound) : reject(error),
    );
  });
  tell({ kind: 'serving', address: `127.0.0.1:${port}` });
}

function work(address: string, tell: (news: FloorNews) => void): void {
  let starts: (readonly [string, number])[] = [];
  const client = new Client(address, credentials.createInsecure());
  const stream = client.makeServerStreamRequest(WORK.path, bytes, bytes, Buffer.alloc(0));
  stream.on('data', (unit: Buffer) => {
    if (unit.byteLength === 0) return tell({ kind: 'ready' });
    starts.push([unit.subarray(0, unit.indexOf(0)).toString(), hostMicros()]);
  });
  setInterval(() => {
    if (starts.length > 0) tell({ kind: 'started', starts });
    starts = [];
  }, NEWS_MS);
}

if (process.send !== undefined) {
  const tell = (news: FloorNews) => void process.send?.(news);
  process.once('message', (order: FloorOrder) => {
    if (order.kind === 'work') return work(order.address, tell);
    serveFloor(order.redis, tell).catch((error: unknown) => {
      process.stderr.write(`${systemClock.now()} floor: ${String(error)}\n`);
      process.exit(1);
    });
  });
  process.once('disconnect', () => process.exit(0));
}
