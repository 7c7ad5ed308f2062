import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rename, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { DatabaseSync } from 'node:sqlite';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { present } from '../../base/assert.ts';
import { systemClock, type Clock } from '../../base/clock.ts';
import { memoryLogger, silentLogger } from '../../base/log.ts';
import { ledgerContract, loadAll } from '../../test/contract/ledger.ts';
import { buildNumber, buildRecord, eventRecord } from '../../test/contract/ledger-records.ts';
import { EVENTS_PER_SUBMISSION } from '../../test/contract/ledger-writer.ts';
import type { Ledger } from './ledger.ts';
import { openSqliteLedger } from './sqlite.ts';

let directory = '';
let path = '';
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'ledger-'));
  path = join(directory, 'ledger.db');
});
afterEach(() => rm(directory, { recursive: true, force: true }));

const signal = new AbortController().signal;
const open = (clock: Clock = systemClock, synchronous: 'FULL' | 'NORMAL' = 'NORMAL') =>
  openSqliteLedger({ path, synchronous, env: { log: silentLogger, clock } });
const lead = async (ledger: Ledger) => present(await ledger.lead({ id: 'a', address: '' }, 60_000, signal), 'free');

ledgerContract({
  name: 'sqlite',
  open,
  reopen: async (ledger, clock) => {
    await ledger[Symbol.asyncDispose]();
    return open(clock);
  },
});

describe('the file', () => {
  it('has what was acknowledged, and whole submissions only, after its process was killed', async () => {
    const script = fileURLToPath(new URL('../../test/contract/ledger-writer.ts', import.meta.url));
    const child = spawn(process.execPath, [script, path], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(child, 'exit');
    const acknowledged: number[] = [];
    for await (const line of createInterface({ input: child.stdout })) {
      acknowledged.push(Number(line));
      // In the middle of its work: commits are in flight at any moment.
      if (acknowledged.length === 200) child.kill('SIGKILL');
    }
    expect(await exited).toEqual([null, 'SIGKILL']);
    await using ledger = await open();
    await lead(ledger);
    const stored = new Set((await ledger.events(buildNumber(1), 0, 1_000_000, signal)).map(({ seq }) => seq));
    for (const number of acknowledged) expect(stored).toContain(number * EVENTS_PER_SUBMISSION + 1);
    const halves = [...stored].map((seq) => Math.floor((seq - 1) / EVENTS_PER_SUBMISSION));
    for (const number of new Set(halves)) expect(halves.filter((half) => half === number)).toHaveLength(EVENTS_PER_SUBMISSION);
  });

  it('is held by one opener at a time, and the refusal names the holder', async () => {
    await using _holder = await open();
    await expect(open()).rejects.toMatchObject({
      code: 'LEDGER_UNAVAILABLE',
      message: expect.stringContaining(`is in use by process ${process.pid}`),
      hint: expect.stringContaining('state directory of its own'),
    });
  });

  it('is readable for its owner only', async () => {
    await using _ledger = await open();
    expect((await stat(path)).mode & 0o777).toBe(0o600);
  });

  it('is refused when a newer version wrote it', async () => {
    await (await open())[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    db.exec('PRAGMA user_version = 99');
    db.close();
    await expect(open()).rejects.toMatchObject({ code: 'WRONG_STATE', message: expect.stringContaining('schema 99') });
  });

  it('is refused when one of its rows was written in a newer form', async () => {
    const ledger = await open();
    await ledger.commit(await lead(ledger), [buildRecord(buildNumber(1), [])], signal);
    await ledger[Symbol.asyncDispose]();
    const db = new DatabaseSync(path);
    db.exec(`UPDATE records SET body = '7:{}'`);
    db.close();
    await using again = await open();
    await expect(loadAll(again)).rejects.toMatchObject({ code: 'WRONG_STATE', message: expect.stringContaining('form 7') });
  });

  it('is refused when it is not a ledger', async () => {
    await writeFile(path, 'not a database '.repeat(1_000));
    await expect(open()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', message: expect.stringContaining('is not a ledger') });
  });

  it('is refused when its directory is missing', async () => {
    path = join(directory, 'missing', 'ledger.db');
    await expect(open()).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE', hint: expect.stringContaining('directory exists') });
  });

  it('begins a new incarnation when it was replaced by a copy', async () => {
    const ledger = await open();
    const before = await ledger.incarnation(signal);
    await ledger[Symbol.asyncDispose]();
    await copyFile(path, `${path}.copy`);
    await rename(`${path}.copy`, path);
    await using again = await open();
    expect(await again.incarnation(signal)).not.toBe(before);
  });

  it('answers every call after closing with LEDGER_UNAVAILABLE, and closing again is harmless', async () => {
    const log = memoryLogger();
    const ledger = await openSqliteLedger({ path, synchronous: 'FULL', env: { log, clock: systemClock } });
    expect(ledger.traits.durability).toBe('power');
    const term = await lead(ledger);
    await ledger[Symbol.asyncDispose]();
    await ledger[Symbol.asyncDispose]();
    await expect(ledger.commit(term, [eventRecord(buildNumber(1), 1)], signal)).rejects.toMatchObject({ code: 'LEDGER_UNAVAILABLE' });
    expect(log.entries).toEqual([]);
  });
});
