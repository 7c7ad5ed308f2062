import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { isFault } from '../../../base/fault.ts';
import { digestToProto } from '../../../proto/convert.ts';
import { PATIENCE_MS, until } from '../../fixtures/until.ts';
import { startRedisYard } from '../redis-yard.ts';
import { openRawTool, type RawTool, type Seen } from './raw-client.ts';

const never = new AbortController().signal;
const ACTIONS = 12;
/** What a tool waits between two tries, and how often it tries. */
const AGAIN_MS = 250;
const TRIES = 200;

/** As Bazel does it: execute until there is a name, then wait for that, whatever breaks. `named` hears of the name. */
async function stubborn(tool: RawTool, script: string, named: (name: string) => void): Promise<Seen> {
  const actionDigest = digestToProto(
    await tool.upload({ command: { arguments: ['/bin/sh', '-c', script] }, action: { doNotCache: true } }),
  );
  let name: string | undefined;
  for (let round = 0; round < TRIES; round += 1) {
    try {
      for await (const seen of name === undefined ? tool.execute({ actionDigest }) : tool.wait(name)) {
        if (name === undefined) named(seen.name);
        name = seen.name;
        if (seen.done) return seen;
      }
    } catch (error) {
      const passing =
        isFault(error) && ['PEER_UNAVAILABLE', 'DRAINING', 'NO_LEADER', 'LEDGER_UNAVAILABLE', 'STORE_UNAVAILABLE'].includes(error.code);
      if (!passing) throw error;
      await sleep(AGAIN_MS);
    }
  }
  throw new Error(`${name} has not ended after ${TRIES} tries`);
}

test(
  'a tool at the data plane of a follower loses nothing and runs nothing twice when the leader is killed',
  async () => {
    // On a host that is busy with other things an agent may be late: it has the time.
    const coordinatorArgs = ['--lease-ttl', '60s'];
    await using yard = await startRedisYard({ coordinators: 2, agents: { one: ACTIONS }, coordinatorArgs });
    const leader = await yard.leader();
    const follower = yard.members.find((member) => member !== leader);
    if (follower === undefined) throw new Error('There is no follower');
    using tool = openRawTool(String((await follower.process.ready())['dataAddress']));
    const ran = join(yard.work, 'ran');
    const named: string[] = [];
    const go = join(yard.work, 'go');
    const all = Array.from({ length: ACTIONS }, (_, index) =>
      stubborn(tool, `echo ${index} >> ${ran}; until test -e ${go}; do sleep 0.5; done; echo end ${index}`, (name) => named.push(name)),
    );
    const lines = async () => (await readFile(ran, 'utf8')).trim().split('\n');
    // A tool that was not told of a name yet has to execute again, and what is not to be cached runs again then: that is no fault of ours.
    const isUnderWay = async () => named.length === ACTIONS && (await lines()).length === ACTIONS;
    await until('all of them run, and the tool knows the name of each', isUnderWay);
    await leader.end('SIGKILL');
    await until('the other one leads', async () => (await follower.ask()).coordinatorRole === 'COORDINATOR_ROLE_LEADING');
    await writeFile(go, '');
    const ended = await Promise.all(all);
    expect(ended.map(({ response }) => response?.status?.code)).toEqual(Array.from({ length: ACTIONS }, () => 0));
    const texts = await Promise.all(ended.map(({ response }) => tool.text(response?.result?.stdoutDigest)));
    expect(texts.toSorted()).toEqual(Array.from({ length: ACTIONS }, (_, index) => `end ${index}\n`).toSorted());
    expect((await lines()).length).toBe(ACTIONS);
    expect(ended.map(({ name }) => name).toSorted()).toEqual(named.toSorted());
    expect((await follower.ask()).coordinatorRole).toBe('COORDINATOR_ROLE_LEADING');
    expect((await yard.server.agents(never)).agents.every(({ running }) => running.length === 0)).toBe(true);
  },
  4 * PATIENCE_MS,
);
