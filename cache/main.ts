import { runCache } from './run.ts';

process.exitCode = await runCache(process.argv.slice(2), process.env);
// What is still open (a connection that nobody closes) does not keep a data plane that has ended.
process.exit();
