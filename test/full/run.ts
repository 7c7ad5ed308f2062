import { spawn } from 'node:child_process';

export type RunOptions = {
  readonly cwd?: string;
  readonly env?: NodeJS.ProcessEnv;
  /** For how long it may run. @default ten minutes */
  readonly deadlineMs?: number;
};

/** What a program wrote, and how it ended; `code` is -1 where a signal or the deadline ended it. */
export type RunResult = { readonly code: number; readonly stdout: string; readonly stderr: string };

/** Runs a program to its end. Only one that cannot be started at all rejects. */
export async function run(program: string, args: readonly string[], options: RunOptions = {}): Promise<RunResult> {
  const child = spawn(program, args, {
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: options.deadlineMs ?? 600_000,
    ...(options.cwd === undefined ? {} : { cwd: options.cwd }),
    ...(options.env === undefined ? {} : { env: options.env }),
  });
  let [stdout, stderr] = ['', ''];
  child.stdout.setEncoding('utf8').on('data', (text: string) => (stdout += text));
  child.stderr.setEncoding('utf8').on('data', (text: string) => (stderr += text));
  return new Promise((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code) => resolve({ code: code ?? -1, stdout, stderr }));
  });
}

/**
 * What a program wrote to its standard output.
 * @throws {Error} with everything that it wrote, where it did not end with code 0.
 */
export async function output(program: string, args: readonly string[], options: RunOptions = {}): Promise<string> {
  const { code, stdout, stderr } = await run(program, args, options);
  if (code === 0) return stdout;
  throw new Error(`${program} ${args.join(' ')} ended with code ${code}:\n${stdout}${stderr}`);
}
