import { runAgent } from './run.ts';

process.exitCode = await runAgent(process.argv.slice(2), process.env);
// What is still open (a connection that nobody closes) does not keep an agent that has ended.
process.exit();
