import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { codeOf } from '../base/thrown.ts';
import { Fault } from '../base/fault.ts';
import { processStart } from '../base/process-start.ts';

/**
 * Makes the directory where it is missing and claims it for this process until it is disposed. A claim of a process that
 * is gone, kill -9 included, is taken over.
 * @throws {Fault} WRONG_STATE while another agent uses the directory.
 */
export function claimWorkDir(dir: string): Disposable {
  mkdirSync(dir, { recursive: true, mode: 0o700 });
  const path = join(dir, 'agent.lock');
  const mine = `${process.pid} ${processStart(process.pid) ?? ''}`;
  for (let tries = 0; tries < 3; tries += 1) {
    try {
      writeFileSync(path, mine, { flag: 'wx' });
      return {
        [Symbol.dispose]() {
          rmSync(path, { force: true });
        },
      };
    } catch (error) {
      if (codeOf(error) !== 'EEXIST') throw error;
    }
    const [pid, start] = ownerOf(path);
    if (pid !== undefined && start !== undefined && processStart(pid) === start) {
      throw new Fault('WRONG_STATE', `${dir} is in use by the agent with process id ${pid}`, {
        hint: 'Give each agent of a host its own --work-dir.',
      });
    }
    rmSync(path, { force: true });
  }
  throw new Fault('WRONG_STATE', `${dir} is claimed by several agents at once`, { hint: 'Give each agent of a host its own --work-dir.' });
}

function ownerOf(path: string): readonly [number | undefined, string | undefined] {
  try {
    const [pid, start] = readFileSync(path, 'utf8').split(' ');
    return [Number(pid), start];
  } catch {
    return [undefined, undefined]; // it was released between two looks
  }
}
