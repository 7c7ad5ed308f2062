import { describe, expect, test } from 'vitest';
import { needs } from '../../fixtures/host.ts';
import { PATIENCE_MS, until } from '../../fixtures/until.ts';
import { startFaultYard, stepThat, type FaultYard } from './fault-yard.ts';
import type { CoordinatorMember } from '../../chaos/yard.ts';

const LINES = 6_000;
const WHOLE = Array.from({ length: LINES }, (_, line) => `line ${line} of a log that nobody takes\n`).join('');
const SCRIPT = `i=0; while [ $i -lt ${LINES} ]; do echo "line $i of a log that nobody takes"; i=$((i+1)); done; exit 3`;

/** The log of step a as this coordinator gives it to somebody who follows it. */
async function logAt(faults: FaultYard, coordinator: CoordinatorMember, build: string): Promise<string> {
  const { text } = await until(`${coordinator.name} answers`, async () => {
    const pieces: Uint8Array[] = [];
    const query = { build, step: 'a', attempt: 0, offset: 0, follow: true };
    for await (const { data } of faults.serverOf(coordinator).log(query, AbortSignal.timeout(15_000))) pieces.push(Uint8Array.from(data));
    return { text: Buffer.concat(pieces).toString() };
  });
  return text;
}

describe.runIf(needs('mount'))('the log of a failed step that the full disk under the blobs does not take', { timeout: 240_000 }, () => {
  test('is whole for readers at any coordinator: at once, after a takeover, and once the build has left the ledger', async () => {
    await using faults = await startFaultYard({ smallDisks: true, retentionMs: 20_000 });
    const { blobsDisk: disk, coordinators, redis } = faults.yard;
    if (disk === undefined || redis === undefined) throw new Error('The yard has no Redis, or no disk for its blobs');
    disk.fill();
    const build = await faults.submit('unstored', [stepThat(SCRIPT)]);
    const ended = await faults.end(build);
    expect(ended.steps).toMatchObject([{ verdict: 'failed', result: { exitCode: 3, log: undefined }, attempts: [{ number: 1 }] }]);
    for (const one of coordinators) expect(await logAt(faults, one, build)).toBe(WHOLE);

    const leader = await faults.leader();
    await leader.down('SIGKILL');
    const next = await until('another one leads', async () => coordinators.find((one) => one !== leader && one.up));
    await until('it leads', async () => (await faults.leader()) === next);
    expect(await logAt(faults, next, build)).toBe(WHOLE);

    disk.empty();
    leader.start();
    const inLedger = async () => (await redis.command('EXISTS', `{switchyard}:build:${build}`)) === 1;
    await until('the build has left the ledger', async () => !(await inLedger()), 2 * PATIENCE_MS);
    for (const one of coordinators) expect(await logAt(faults, one, build)).toBe(WHOLE);
  });
});
