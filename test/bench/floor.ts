import { fork, type ChildProcess } from 'node:child_process';
import { randomUUID } from 'node:crypto';
import { Client, credentials } from '@grpc/grpc-js';
import type { FloorNews, FloorOrder } from './floor-process.ts';
import { SUBMIT } from './floor-wire.ts';
import { endChild } from './load-agent-processes.ts';
import { openLoop, Starts, type Subject } from './subject.ts';

/** About what the record of a plain step takes. */
const PADDING_BYTES = 400;

/**
 * The least that any dispatcher of this kind must do: a gRPC call to a server, one write to Redis, one message on a worker's
 * stream. Client, server and workers are processes of their own, as with the real thing.
 */
export async function startFloor(redis: string, workerCount: number): Promise<Subject> {
  const starts = new Starts();
  const children: ChildProcess[] = [];
  const start = (order: FloorOrder): Promise<FloorNews> => {
    const child = fork(new URL('floor-process.ts', import.meta.url), { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] });
    children.push(child);
    child.send(order);
    return new Promise((resolve, reject) => {
      child.once('exit', (code) => reject(new Error(`A process of the floor ended with code ${code}`)));
      child.on('message', (news: FloorNews) => {
        if (news.kind !== 'started') return resolve(news);
        for (const [key, at] of news.starts) starts.note(key, at);
      });
    });
  };
  const serving = await start({ kind: 'serve', redis });
  if (serving.kind !== 'serving') throw new Error('The floor does not serve');
  for (let index = 0; index < workerCount; index += 1) await start({ kind: 'work', address: serving.address });
  const client = new Client(serving.address, credentials.createInsecure());
  const one = () => {
    const key = randomUUID();
    const unit = Buffer.concat([Buffer.from(`${key}\0`), Buffer.alloc(PADDING_BYTES, 'x')]);
    return new Promise<string>((resolve, reject) => {
      const { path, requestSerialize, responseDeserialize } = SUBMIT;
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, unit, (error) =>
        error === null ? resolve(key) : reject(error),
      );
    });
  };
  return {
    name: 'gRPC + Redis floor',
    openLoop: (rate, seconds) => openLoop(starts, one, rate, seconds),
    drain: undefined,
    async [Symbol.asyncDispose]() {
      client.close();
      await Promise.all(children.map(endChild));
    },
  };
}
