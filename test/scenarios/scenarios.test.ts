import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { play } from './script.ts';

const FOLDER = import.meta.dirname;

test.for(readdirSync(FOLDER).filter((name) => name.endsWith('.txt')))('%s plays as recorded', async (name) => {
  const path = join(FOLDER, name);
  await expect(play(readFileSync(path, 'utf8'))).toMatchFileSnapshot(path);
});
