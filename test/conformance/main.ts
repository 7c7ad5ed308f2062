import { readFile, writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { reasonOf } from '../../base/thrown.ts';
import { startEmbedded } from './embedded.ts';
import { renderLine, renderReport } from './report.ts';
import type { Endpoint } from './session.ts';
import { runSuite } from './suite.ts';

const USAGE = `Checks a server of the Remote Execution API. Exit code 1: something deviates.

  npm run conformance -- grpc://host:port [--instance NAME] [--token-file FILE] [--reader-token-file FILE] [--report FILE]
  npm run conformance -- --embedded [--report FILE]
`;

const OPTIONS = {
  embedded: { type: 'boolean', default: false },
  instance: { type: 'string', default: '' },
  'token-file': { type: 'string' },
  'reader-token-file': { type: 'string' },
  report: { type: 'string' },
  help: { type: 'boolean', default: false },
} as const;

async function main(argv: readonly string[]): Promise<number> {
  const { values, positionals } = parseArgs({ args: [...argv], options: OPTIONS, allowPositionals: true });
  const [target, ...more] = positionals;
  if (values.help || more.length > 0 || (target === undefined) !== values.embedded) {
    process.stderr.write(USAGE);
    return values.help ? 0 : 2;
  }
  await using embedded = target === undefined ? await startEmbedded() : undefined;
  const endpoint: Endpoint = embedded?.endpoint ?? {
    address: addressOf(target ?? ''),
    instance: values.instance,
    token: await tokenIn(values['token-file']),
    readerToken: await tokenIn(values['reader-token-file']),
  };
  const findings = await runSuite(endpoint, (finding) => void process.stdout.write(renderLine(finding)));
  const subject = embedded === undefined ? `the server at ${endpoint.address}` : 'a yard of this repository';
  if (values.report !== undefined) await writeFile(values.report, renderReport(subject, findings));
  const deviating = findings.filter(({ verdict }) => verdict.kind === 'deviates').length;
  process.stdout.write(`${findings.length} checks, ${deviating} deviate\n`);
  return deviating === 0 ? 0 : 1;
}

function addressOf(target: string): string {
  const address = /^(?:grpc:\/\/)?([^/]+:\d+)\/?$/.exec(target)?.[1];
  if (address === undefined) throw new Error(`"${target}": want grpc://host:port`);
  return address;
}

async function tokenIn(path: string | undefined): Promise<string | undefined> {
  return path === undefined ? undefined : (await readFile(path, 'utf8')).trim();
}

try {
  process.exitCode = await main(process.argv.slice(2));
} catch (error) {
  process.stderr.write(`${reasonOf(error)}\n`);
  process.exitCode = 2;
}
