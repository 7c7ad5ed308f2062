import { workerData } from 'node:worker_threads';
import { sqliteFault } from '../../../base/sqlite-fault.ts';
import { serveThread } from '../../../base/thread.ts';
import { INDEX_FILE } from './file.ts';
import { SqliteStore } from './store.ts';

// The thread of one SqliteStore.
const path = workerData as string; // openSqliteStoreIndex, the only one to start this file, passes it
serveThread(
  () => new SqliteStore(path),
  (error) => sqliteFault(error, INDEX_FILE, path),
  'close',
);
