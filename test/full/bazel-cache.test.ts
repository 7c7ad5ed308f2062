import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { hashToken } from '../../base/auth.ts';
import { systemClock } from '../../base/clock.ts';
import { memoryLogger } from '../../base/log.ts';
import { parseCacheConfig } from '../../cache/config.ts';
import { startCache } from '../../cache/start.ts';
import { writeFiles } from '../e2e/real-yard.ts';
import { needs } from '../fixtures/host.ts';
import { tempDir } from '../fixtures/temp-dir.ts';
import { installBazel, openBazel, type Version } from './bazel.ts';

const COUNT = 12;
const BUILD = `
[genrule(
    name = "step%d" % i,
    srcs = ["in.txt"] if i else ["other.txt"],
    outs = ["step%d.txt" % i],
    cmd = "cat $(SRCS) > $@ && echo %d >> $@" % i,
) for i in range(${COUNT})]
filegroup(name = "all", srcs = ["step%d.txt" % i for i in range(${COUNT})])
`;

const caller = (name: string, role: string) => {
  return { name, sha256: hashToken(name), kind: 'caller', role, project: 'web', scope: 'main', zoneCeiling: 'trusted' };
};

type Over = 'HTTP' | 'gRPC';

/** Bazel 2 sends no headers of ours over gRPC: it has no way to name itself there. */
const WAYS: readonly { readonly version: Version; readonly over: Over; readonly can: boolean }[] = [
  { version: '2', over: 'HTTP', can: needs('npm') },
  { version: '7', over: 'HTTP', can: needs('bubblewrap') },
  { version: '7', over: 'gRPC', can: needs('bubblewrap') },
];

const flagsOf = (over: Over, who: string, cache: { readonly address: string; readonly httpAddress: string | undefined }) =>
  over === 'HTTP'
    ? [`--remote_cache=http://ci:${who}@${cache.httpAddress}/web/main`]
    : [`--remote_cache=grpc://${cache.address}`, '--remote_instance_name=web/main', `--remote_header=authorization=Bearer ${who}`];

test.for(WAYS.filter(({ can }) => can))(
  'Bazel $version finds over $over what another machine built, builds what changed, and stores nothing where it may only read',
  { timeout: 1_200_000 },
  async ({ version, over }) => {
    await installBazel(version);
    await using dir = await tempDir();
    await writeFile(join(dir.path, 'tokens.json'), JSON.stringify([caller('writer', 'submitter'), caller('reader', 'viewer')]));
    const listens = ['--listen', '127.0.0.1:0', '--http-listen', '127.0.0.1:0'];
    const argv = [...listens, '--dir', join(dir.path, 'blobs'), '--tokens-file', join(dir.path, 'tokens.json')];
    await using cache = await startCache(parseCacheConfig({}, argv), { log: memoryLogger(), clock: systemClock });
    const workspace = join(dir.path, 'workspace');
    await writeFiles(workspace, { WORKSPACE: '', 'MODULE.bazel': '', BUILD, 'in.txt': 'words\n', 'other.txt': 'other\n' });

    let machines = 0;
    const buildAs = async (who: string) => {
      await using bazel = await openBazel(version, workspace, join(dir.path, `machine-${(machines += 1)}`), 'unused:1');
      const local = ['--remote_executor=', '--spawn_strategy=local', '--genrule_strategy=local'];
      const { code, counts, stderr } = await bazel.build(['//:all'], [...flagsOf(over, who, cache), ...local]);
      expect(code, stderr).toBe(0);
      return counts.hits;
    };
    expect(await buildAs('reader')).toBe(0);
    expect(await buildAs('writer')).toBe(0);
    expect(await buildAs('writer')).toBe(COUNT);
    expect(await buildAs('reader')).toBe(COUNT);
    await writeFile(join(workspace, 'other.txt'), 'changed\n');
    expect(await buildAs('writer')).toBe(COUNT - 1);
  },
);
