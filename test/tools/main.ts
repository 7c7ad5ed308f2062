import { redisProgram } from '../fixtures/redis-tools.ts';

// Brings what tests want of the host and the host may lack, below .cache/tools: for where tests run without a network.
const { path } = await redisProgram();
process.stdout.write(`${path}\n`);
