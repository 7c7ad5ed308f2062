import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { Secret } from '../../base/secret.ts';
import type { Entry } from '../../cache/entries/entry-store.ts';
import { openEntryAdmin } from '../../cache/rpc/entry-admin.ts';
import { connectBuildServer } from '../../cli/rpc/client.ts';
import { runSwitchyard } from '../fixtures/run-process.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { PATIENCE_MS, until } from '../fixtures/until.ts';
import { startRealYard, writeFiles } from './real-yard.ts';

const { signal } = new AbortController();

/** `pack` is kept; what it was made from is not, and what that was made from is. */
const PIPELINE = `version: 1
name: purged
steps:
  fetch: { run: 'date > fetched.txt', outputs: [fetched.txt], timeout: 1m }
  build: { run: 'cat fetched.txt > built.txt', needs: fetch, outputs: [built.txt], cache: false, timeout: 1m }
  pack: { run: 'cat built.txt > packed.txt', needs: build, outputs: [packed.txt], timeout: 1m }
  other: { run: 'echo other > other.txt', outputs: [other.txt], timeout: 1m }
`;

test(
  'what an agent made is purged with what was made from it, also through steps that keep no result',
  { timeout: 4 * PATIENCE_MS },
  async () => {
    await using dir = await tempDir();
    const tokensFile = join(dir.path, 'tokens.json');
    const ci = {
      name: 'ci',
      sha256: hashToken('ci'),
      kind: 'caller',
      role: 'admin',
      project: 'shop',
      scope: 'main',
      zoneCeiling: 'trusted',
    };
    writeFileSync(tokensFile, JSON.stringify([ci]), { mode: 0o600 });
    await using yard = await startRealYard({ agents: ['one'], coordinatorArgs: ['--tokens-file', tokensFile] });
    using server = connectBuildServer({ address: yard.address, token: new Secret('ci') });
    const { dataAddress } = await server.server(signal);
    using admin = openEntryAdmin({ address: dataAddress, token: new Secret('ci') });
    const env = { SWITCHYARD_TOKEN: 'ci' };

    const run = async () => {
      await writeFiles(yard.work, { 'switchyard.yaml': PIPELINE });
      const ended = await runSwitchyard(['run', ...yard.at, '-o', 'json'], { cwd: yard.work, env });
      expect(ended, ended.stderr).toMatchObject({ code: 0 });
      const build = /"kind":"submitted","build":"(b-[0-9a-z]+)"/.exec(ended.stdout)?.[1] ?? '';
      const { steps } = await server.snapshot(build, signal);
      return {
        build,
        ran: steps
          .filter((step) => step.attempts.length > 0)
          .map((step) => step.name)
          .toSorted(),
      };
    };
    const entries = async () => {
      const found: Entry[] = [];
      for await (const entry of admin.list('shop/main', { kind: 'action' }, signal)) found.push(entry);
      return found;
    };

    const first = await run();
    expect(first.ran).toEqual(['build', 'fetch', 'other', 'pack']);
    const kept = await until('all results are kept', async () => (await entries()).length === 3 && entries());
    const of = (step: string) => kept.find(({ provenance }) => provenance.step === step);
    const pack = of('pack');
    expect(pack?.provenance).toMatchObject({ build: first.build, attempt: '1', caller: 'ci', zone: 'trusted', writer: 'executor' });
    expect(pack?.provenance.consumed).toHaveLength(2); // of build, and through it of fetch
    expect(pack?.provenance.consumed.map(({ key }) => key)).toContain(of('fetch')?.at.key);
    expect((await run()).ran).toEqual(['build']);

    // Through the result of fetch alone: who made the others is not asked for.
    const criteria = { kind: 'action', key: of('fetch')?.at.key ?? '' } as const;
    const plan = await admin.purge('shop', criteria, true, signal);
    expect(plan.purged.map(({ provenance }) => provenance.step)).toEqual(['fetch', 'pack']);
    expect((await admin.purge('shop', criteria, false, signal)).purgedCount).toBe(2);
    expect((await entries()).map(({ provenance }) => provenance.step)).toEqual(['other']);
    expect((await run()).ran).toEqual(['build', 'fetch', 'pack']);
  },
);
