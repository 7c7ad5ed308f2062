import { workerData } from 'node:worker_threads';
import { sqliteFault } from '../../base/sqlite-fault.ts';
import { serveThread } from '../../base/thread.ts';
import { IDENTITY_FILE, IdentityTables } from './sqlite-tables.ts';

// The thread of one IdentityTables.
const { path } = workerData as { readonly path: string }; // openSqliteIdentityStore, the only one to start this file, passes it
serveThread(
  () => new IdentityTables(path),
  (error) => sqliteFault(error, IDENTITY_FILE, path),
  'close',
);
