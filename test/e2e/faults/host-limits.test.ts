import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { fewFiles } from '../../chaos/inject.ts';
import { needs } from '../../fixtures/host.ts';
import { until } from '../../fixtures/until.ts';
import { gated, hasLogged, startFaultYard, stepThat, type FaultYard } from './fault-yard.ts';

describe.runIf(needs('mount', 'prlimit'))('a host that runs out', () => {
  let faults: FaultYard;
  beforeAll(async () => {
    faults = await startFaultYard({ smallDisks: true });
  });
  afterAll(() => faults[Symbol.asyncDispose]());

  /** Steps that only write their log, one after the other. */
  const trySteps = (key: string, count: number) =>
    faults.submit(
      key,
      Array.from({ length: count }, (_, index) => stepThat(`echo ${index}`, { name: `s${index}` })),
    );

  test('of disk on an agent: its steps are errors that go elsewhere, it takes nothing new, says so, and comes back', async () => {
    const [agent] = faults.yard.agents;
    if (agent?.disk === undefined) throw new Error('The agent has no disk of its own');
    agent.disk.fill();
    const ended = await faults.end(await trySteps('full-agent', 12));
    expect(ended.build.verdict).toBe('succeeded');
    for (const { result } of ended.steps) expect(result?.agent).not.toBe(agent.name);
    const failed = ended.steps.flatMap(({ attempts }) => attempts.filter((attempt) => attempt.agent === agent.name));
    for (const { endedWhy } of failed) expect(endedWhy).toMatch(/^sandbox-error: .*(disk|space)/i);
    await until('it says that it is full', () => hasLogged(agent, 'agent-cordoned', 'disk is full'));
    await until('operators see it in the list of agents', async () => {
      let shown;
      await faults.ask(async (server, signal) => {
        shown = (await server.agents(signal)).agents.find((each) => each.agent === agent.name);
      });
      expect(shown).toMatchObject({
        cordoned: expect.stringMatching(/disk/),
        keptFrom: expect.stringMatching(/^it is cordoned: .*disk/),
      });
      return true;
    });
    agent.disk.empty();
    let round = 0;
    await until('it works again', async () => {
      const { steps } = await faults.end(await trySteps(`after-full-${(round += 1)}`, 6));
      return steps.some(({ result }) => result?.agent === agent.name);
    });
  });

  test('of disk under the blobs: results wait or are made again, none is half written, and it goes on by itself', async () => {
    const disk = faults.yard.blobsDisk;
    if (disk === undefined) throw new Error('The blobs have no disk of their own');
    const bytes = 300_000;
    disk.fill();
    const build = await faults.submit('full-blobs', [
      stepThat(`head -c ${bytes} /dev/zero > out`, { outputs: ['out'] }),
      stepThat('wc -c < out', { name: 'b', needs: [{ step: 'a', outputs: true }] }),
    ]);
    await until('the first try is over', async () => {
      const step = await faults.step(build, 'a');
      return step.attempts.some(({ endedWhy }) => endedWhy !== '') || faults.yard.agents.some((one) => hasLogged(one, 'disk is full'));
    });
    disk.empty();
    const { steps } = await faults.end(build);
    expect(steps.map(({ verdict }) => verdict)).toEqual(['succeeded', 'succeeded']);
    const log: Uint8Array[] = [];
    await faults.ask(async (server, signal) => {
      log.length = 0;
      for await (const { data } of server.log({ build, step: 'b', attempt: 0, offset: 0, follow: true }, signal)) log.push(data);
    });
    expect(Buffer.concat(log).toString().trim()).toBe(String(bytes));
  });

  test.each(['agent', 'leader'] as const)(
    'of file descriptors in the %s: what runs is finished, and afterwards all goes on',
    async (who) => {
      const gate = gated(faults.dir, `files-${who}`);
      const build = await faults.submit(`files-${who}`, [stepThat(gate.script)]);
      await faults.running(build, 'a');
      const holder = (await faults.step(build, 'a')).attempts[0]?.agent;
      const member = who === 'leader' ? await faults.leader() : faults.yard.agents.find(({ name }) => name === holder);
      if (member === undefined) throw new Error('Nobody runs the step');
      const heal = fewFiles([member.process.pid]);
      try {
        gate.open();
        const meanwhile = await trySteps(`meanwhile-${who}`, 6);
        expect((await faults.end(meanwhile)).build.verdict).toBe('succeeded');
      } finally {
        heal();
      }
      const ended = await faults.end(build);
      expect(ended.build.verdict).toBe('succeeded');
      expect((await faults.end(await trySteps(`after-files-${who}`, 6))).build.verdict).toBe('succeeded');
      expect(member.falls).toEqual([]);
    },
  );
});
