import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import type { StepSpec } from '../../../proto/gen/switchyard/v1/StepSpec.ts';
import { readAgentJournal } from '../../fixtures/agent-journal.ts';
import { needs } from '../../fixtures/host.ts';
import { stepThat } from './fault-yard.ts';
import { COORDINATOR_HOSTS, startNetYard, type NetYard } from './net-yard.ts';

/** Of the packets, each way: every third exchange loses one. */
const PERCENT = 15;
const LINES = 800;
const STEPS = 5;
const BUILDS = 3;

/** Some tens of thousands of bytes in pieces, of which every step hands some on to the next one. */
function stepOf(key: string, index: number, starts: string): StepSpec {
  const before = `s${index - 1}`;
  const script = [
    `echo '${key}/${index}' >> '${starts}'`,
    ...(index === 0 ? [] : [`cat ${before}.out`]),
    `i=0; while [ $i -lt ${LINES} ]; do echo "line $i of ${key}/${index}, which is long enough"; i=$((i+1)); done`,
    `echo 'output of ${key}/${index}' > s${index}.out`,
  ];
  const needed = index === 0 ? {} : { needs: [{ step: before, outputs: true }] };
  return stepThat(script.join('\n'), { name: `s${index}`, outputs: [`s${index}.out`], ...needed });
}

function logOf(key: string, index: number): string {
  const read = index === 0 ? '' : `output of ${key}/${index - 1}\n`;
  return read + Array.from({ length: LINES }, (_, line) => `line ${line} of ${key}/${index}, which is long enough\n`).join('');
}

describe.runIf(needs('netns'))('links that lose packets', { timeout: 240_000 }, () => {
  let yard: NetYard;
  beforeAll(async () => {
    yard = await startNetYard({ leaseMs: 15_000, termMs: 3_000, offerMs: 15_000 });
  });
  afterEach(() => yard.lab.heal());
  afterAll(() => yard[Symbol.asyncDispose]());

  /** Runs builds meanwhile; each of their steps is started once, by anybody's account, and its log is whole. */
  async function runBuilds(name: string): Promise<void> {
    const starts = join(yard.dir, `starts-${name}`);
    const keys = Array.from({ length: BUILDS }, (_, number) => `${name}-${number}`);
    const stepsOf = (key: string) => Array.from({ length: STEPS }, (_, index) => stepOf(key, index, starts));
    const builds = await Promise.all(keys.map(async (key) => ({ key, id: await yard.submit(key, stepsOf(key)) })));
    for (const { key, id } of builds) {
      const ended = await yard.end(id);
      expect(ended.build.verdict).toBe('succeeded');
      for (const [index, step] of ended.steps.entries()) {
        expect(step.attempts).toMatchObject([{ number: 1, endedWhy: 'succeeded' }]);
        expect((await yard.log(id, step.name)).toString()).toBe(logOf(key, index));
      }
    }
    const tags = keys.flatMap((key) => Array.from({ length: STEPS }, (_, index) => `${key}/${index}`));
    expect(existsSync(starts) && readFileSync(starts, 'utf8').trim().split('\n').toSorted()).toEqual(tags.toSorted());
    const ids = new Set(builds.map(({ id }) => id));
    const accepted = readAgentJournal(yard.workDir).filter((line) => line.event === 'accepted' && ids.has(line.build));
    expect(accepted).toHaveLength(tags.length);
  }

  test('between agents and coordinators: builds succeed, logs are whole, nothing is run again', async () => {
    for (const host of COORDINATOR_HOSTS) yard.lab.lossBetween('agent', host, PERCENT);
    await runBuilds('agents');
  });

  test('between coordinators and Redis: builds succeed, logs are whole, nothing is run again', async () => {
    for (const host of COORDINATOR_HOSTS) yard.lab.lossBetween('redis', host, PERCENT);
    await runBuilds('redis');
  });
});
