import { parentPort, workerData } from 'node:worker_threads';
import { assert, present } from '../../base/assert.ts';
import { sqliteFault } from './sqlite-fault.ts';
import { SqliteStore, type SqliteStoreOptions } from './sqlite-store.ts';
import type { StoreAnswer, StoreCall } from './sqlite-call.ts';

// The thread of one SqliteStore: it opens the file, says so (or why not) under id 0, and answers calls in order.
const port = parentPort;
assert(port !== null, 'this file runs as a worker thread');
const options = workerData as SqliteStoreOptions; // openSqliteLedger, the only one to start this file, passes them

const answer = (id: number, run: () => unknown): void => {
  let reply: StoreAnswer;
  try {
    reply = { id, ok: true, value: run() };
  } catch (error) {
    const { code, message, hint } = sqliteFault(error, options.path);
    reply = { id, ok: false, fault: { code, message, hint } };
  }
  port.postMessage(reply);
};

let store: SqliteStore | undefined;
answer(0, () => {
  store = new SqliteStore(options);
});

port.on('message', (call: StoreCall) => {
  answer(call.id, () => {
    const opened = present(store, 'calls come only after the file was opened');
    return Reflect.apply(opened[call.method], opened, call.args);
  });
  if (call.method === 'close') port.close();
});
