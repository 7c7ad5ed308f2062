import { parentPort, workerData } from 'node:worker_threads';
import { assert, present } from '../../../base/assert.ts';
import type { StoreAnswer, StoreCall } from './call.ts';
import { sqliteFault } from './fault.ts';
import { SqliteStore } from './store.ts';

// The thread of one SqliteStore: it opens the file, says so (or why not) under id 0, and answers calls in order.
const port = parentPort;
assert(port !== null, 'this file runs as a worker thread');
const { path } = workerData as { readonly path: string }; // startStoreThread, the only one to start this file, passes it

const answer = (id: number, run: () => unknown): void => {
  let reply: StoreAnswer;
  try {
    reply = { id, ok: true, value: run() };
  } catch (error) {
    const { code, message, hint, field } = sqliteFault(error, path);
    reply = { id, ok: false, fault: { code, message, hint, field } };
  }
  port.postMessage(reply);
};

let store: SqliteStore | undefined;
answer(0, () => {
  store = new SqliteStore({ path });
});

port.on('message', (call: StoreCall) => {
  answer(call.id, () => {
    const opened = present(store, 'calls come only after the file was opened');
    return Reflect.apply(opened[call.method], opened, call.args);
  });
  if (call.method === 'close') port.close();
});
