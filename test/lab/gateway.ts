import { startRelay } from '../fixtures/relay.ts';

/*
 * The gateway of a cluster: a process in the cluster's network namespace, through which everything goes that its agents say to coordinators
 * and to S3. It stands for a long way where the kernel delays no packets. `node test/lab/gateway.ts PLAN`, with the plan as JSON.
 * SIGUSR2 makes the way slower, SIGHUP as it was.
 */

export type GatewayPlan = {
  readonly links: readonly { readonly listen: string; readonly target: string }[];
  /** One way, in milliseconds; `slowMs` after SIGUSR2. */
  readonly delayMs: number;
  readonly slowMs: number;
};

const plan = JSON.parse(process.argv[2] ?? '') as GatewayPlan; // from whoever started this
const relays = await Promise.all(plan.links.map(({ listen, target }) => startRelay(target, listen)));
const delayAll = (ms: number) => {
  for (const relay of relays) relay.delay(ms);
};
delayAll(plan.delayMs);
process.on('SIGUSR2', () => delayAll(plan.slowMs));
process.on('SIGHUP', () => delayAll(plan.delayMs));
process.stdout.write(`${JSON.stringify({ ready: true })}\n`);
