import { workerData } from 'node:worker_threads';
import { sqliteFault } from '../../base/sqlite-fault.ts';
import { serveThread } from '../../base/thread.ts';
import { LEDGER_FILE } from './sqlite-schema.ts';
import { SqliteStore, type SqliteStoreOptions } from './sqlite-store.ts';

// The thread of one SqliteStore.
const options = workerData as SqliteStoreOptions; // openSqliteLedger, the only one to start this file, passes them
serveThread(
  () => new SqliteStore(options),
  (error) => sqliteFault(error, LEDGER_FILE, options.path),
  'close',
);
