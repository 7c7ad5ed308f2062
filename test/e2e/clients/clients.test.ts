import { describe } from 'vitest';
import { needs } from '../../fixtures/host.ts';
import { ccache } from './ccache.ts';
import { moon } from './moon.ts';
import { nx } from './nx.ts';
import { testBreaking, testClients } from './suite.ts';
import { turborepo } from './turborepo.ts';

describe.runIf(needs('npm', 'git', 'compiler'))('a client', () => {
  testClients([turborepo, nx, moon('none'), moon('zstd'), ccache('subdirs'), ccache('flat'), ccache('bazel')]);
  // What the server does then is the same for each layout and compression.
  testBreaking([turborepo, nx, moon('zstd'), ccache('subdirs')]);
});
