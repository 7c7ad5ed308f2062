import fs from 'node:fs';
import { createServer } from 'node:net';
import os from 'node:os';
import path from 'node:path';
import { openSandbox } from '../../agent/sandbox/open.ts';
import { isFault } from '../../base/fault.ts';
import { reasonOf } from '../../base/thrown.ts';
import { EMPTY_DIGEST } from '../../cache/digest.ts';
import { openDataPlane } from '../../cache/rpc/client.ts';
import type { ServerView } from '../build-view.ts';
import type { Finding } from '../commands/doctor.ts';
import { locateServer, STATE_DIR } from '../locate.ts';
import type { BuildServer } from '../rpc/client.ts';
import { connect, plainReason, type Session } from '../session.ts';
import { formatBytes, formatTime, printable } from '../view/format.ts';
import { redisChecks } from './redis.ts';

const NODE_MAJOR_MIN = 24;
const DISK_FREE_MIN = 2 * 1024 ** 3;
const SKEW_MS_MAX = 2_000;
const CALL_MS = 5_000;

/** All checks in order; each finds something whatever happens. */
export async function doctorChecks(session: Session): Promise<readonly Finding[]> {
  const host = [nodeCheck(), diskCheck(session), await portCheck(), ...(await sandboxChecks(session))];
  return [...host, ...(await redisChecks(session)), ...(await serverChecks(session))];
}

function finding(check: string, result: Finding['result'], found: string, fix?: string): Finding {
  return { check, result, found, fix };
}

function nodeCheck(): Finding {
  const { node } = process.versions;
  const ok = Number(node.split('.')[0]) >= NODE_MAJOR_MIN;
  return finding(
    'node',
    ok ? 'ok' : 'bad',
    `${node} on ${process.platform}-${process.arch}`,
    `Start switchyard by its launcher, which brings Node ${NODE_MAJOR_MIN}.`,
  );
}

function diskCheck({ terminal }: Session): Finding {
  const at = path.join(terminal.cwd, STATE_DIR);
  try {
    const there = fs.existsSync(at) ? at : terminal.cwd;
    fs.accessSync(there, fs.constants.W_OK);
    const { bavail, bsize } = fs.statfsSync(there);
    const free = bavail * bsize;
    const enough = free >= DISK_FREE_MIN;
    return finding(
      'disk',
      enough ? 'ok' : 'warn',
      `${formatBytes(free)} free for ${at}`,
      `Free some: caches and workspaces want ${formatBytes(DISK_FREE_MIN)} at least.`,
    );
  } catch (error) {
    return finding('disk', 'bad', `${at} cannot be written (${reasonOf(error)})`, 'Use a directory that you may write to.');
  }
}

async function portCheck(): Promise<Finding> {
  const opened = await new Promise<string | undefined>((resolve) => {
    const server = createServer();
    server.once('error', (error) => resolve(error.message));
    server.listen({ port: 0, host: '127.0.0.1' }, () => server.close(() => resolve(undefined)));
  });
  if (opened === undefined) return finding('ports', 'ok', 'loopback ports can be opened');
  return finding('ports', 'bad', `no loopback port can be opened (${opened})`, 'Allow programs to listen on 127.0.0.1.');
}

/** What steps of an agent on this host would run in. */
async function sandboxChecks({ terminal }: Session): Promise<readonly Finding[]> {
  const dir = fs.mkdtempSync(path.join(os.tmpdir(), 'switchyard-doctor-'));
  try {
    const options = { dir, readOnlyPaths: [], hostPath: terminal.env['PATH'] ?? '' };
    await using sandbox = await openSandbox('auto', options, { log: terminal.log, clock: terminal.clock });
    const head = finding(
      'sandbox',
      sandbox.name === 'bubblewrap' ? 'ok' : 'warn',
      `${sandbox.name} (${sandbox.traits.join(', ') || 'no guarantees'})`,
      'Install bubblewrap, and allow user namespaces.',
    );
    return [head, ...sandbox.missing.map((missing) => finding('sandbox', 'warn', `missing: ${printable(missing)}`))];
  } catch (error) {
    return [finding('sandbox', 'bad', reasonOf(error), 'An agent on this host cannot run steps; other agents can.')];
  } finally {
    fs.rmSync(dir, { recursive: true, force: true });
  }
}

async function serverChecks(session: Session): Promise<readonly Finding[]> {
  let server: BuildServer;
  try {
    server = await connect(locateServer(session.options, session.terminal), session);
  } catch (error) {
    return [finding('server', 'warn', reasonOf(error), isFault(error) ? error.hint : undefined)];
  }
  using closing = server;
  const { clock } = session.terminal;
  const signal = AbortSignal.any([session.signal, AbortSignal.timeout(CALL_MS)]);
  const begun = clock.now();
  try {
    const view = await closing.server(signal);
    const tookMs = clock.now() - begun;
    return [
      finding('server', 'ok', `${server.link.address}, version ${view.version}, answers in ${tookMs} ms`),
      tokenFinding(view, server),
      skewFinding(view, begun + tookMs / 2),
      ...leaderFindings(view),
      await dataFinding(session, view, server, signal),
      await agentsFinding(server, signal),
    ];
  } catch (error) {
    if (isFault(error, 'UNAUTHENTICATED')) {
      return [finding('token', 'bad', error.message, 'Name the file with your token: --token-file FILE or SWITCHYARD_TOKEN_FILE.')];
    }
    const why = signal.aborted ? `no answer in ${CALL_MS / 1_000} s` : isFault(error) ? plainReason(error) : reasonOf(error);
    return [
      finding(
        'server',
        'bad',
        `${server.link.address}: ${why}`,
        'Check the address and that the server runs; start one here with "switchyard up".',
      ),
    ];
  }
}

function tokenFinding({ role, project, scope, zoneCeiling }: ServerView, { link }: BuildServer): Finding {
  const who = `${role} of project "${project}", scope "${scope}", zones up to ${zoneCeiling}`;
  return finding(
    'token',
    role === 'viewer' ? 'warn' : 'ok',
    link.token === undefined ? `${who} (without a token)` : who,
    'A viewer cannot submit: ask for a token of role submitter.',
  );
}

function skewFinding({ nowMs }: ServerView, atMs: number): Finding {
  if (nowMs === undefined) return finding('clock', 'warn', 'the server does not say its time', 'Upgrade the server.');
  const skewMs = Math.round(nowMs - atMs);
  const off = Math.abs(skewMs) > SKEW_MS_MAX;
  const found = `the server is ${formatTime(Math.abs(skewMs))} ${skewMs < 0 ? 'behind' : 'ahead'}`;
  return finding('clock', off ? 'warn' : 'ok', found, 'Synchronise both clocks (NTP): times in logs will be off.');
}

function leaderFindings({ leader }: ServerView): readonly Finding[] {
  if (leader === undefined) return [];
  if (leader !== '') return [finding('leader', 'ok', `the coordinator at ${leader} leads`)];
  return [finding('leader', 'warn', 'no coordinator leads', 'One does within seconds; else /readyz of each says what it misses.')];
}

async function dataFinding(session: Session, view: ServerView, server: BuildServer, signal: AbortSignal): Promise<Finding> {
  try {
    const link = { ...server.link, address: view.dataAddress };
    const env = { log: session.terminal.log, clock: session.terminal.clock };
    await using data = openDataPlane({ link, instanceName: view.instanceName, env });
    await data.store.findMissing([EMPTY_DIGEST], signal);
    return finding('data plane', 'ok', view.dataAddress);
  } catch (error) {
    return finding(
      'data plane',
      'bad',
      `${view.dataAddress}: ${reasonOf(error)}`,
      'The address must be reachable from here: see --data-address of the coordinator.',
    );
  }
}

async function agentsFinding(server: BuildServer, signal: AbortSignal): Promise<Finding> {
  try {
    const { agents, holds } = await server.agents(signal);
    const here = agents.filter((agent) => agent.connected);
    const held = holds.length === 0 ? '' : `, ${holds.length} on hold`;
    return finding(
      'agents',
      here.length > 0 ? 'ok' : 'warn',
      `${here.length} connected${held}`,
      'Start one with "switchyard agent", or look at "switchyard agents".',
    );
  } catch (error) {
    if (isFault(error, 'FORBIDDEN')) return finding('agents', 'ok', 'only operators see them');
    return finding('agents', 'warn', reasonOf(error));
  }
}
