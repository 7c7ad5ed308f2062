import { runCoordinator } from './run.ts';

process.exitCode = await runCoordinator(process.argv.slice(2), process.env);
// What is still open (a connection that nobody closes) does not keep a coordinator that has ended.
process.exit();
