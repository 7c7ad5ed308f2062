import { parseDurationMs } from '../../base/quantity.ts';
import { suggest } from '../../base/suggest.ts';
import type { AgentView, BreakerView, FleetView, HoldView } from '../build-view.ts';
import { EXIT, UsageError } from '../exit.ts';
import { serverClock } from '../server-clock.ts';
import { openServer, printJson, printLines, say, type Session } from '../session.ts';
import { columns, formatBytes, formatTime, printable, type Style } from '../view/format.ts';

/** Lists agents and what keeps work away from them. */
export async function agentsCommand(session: Session): Promise<number> {
  using server = await openServer(session);
  const fleet = await server.agents(session.signal);
  if (session.json) printJson(session, fleet);
  else {
    const now = (await serverClock(server, session.terminal.clock, session.signal)).now();
    printLines(session, [
      ...agentTable(fleet.agents, session),
      ...poolTable(fleet, session),
      ...dependencyTable(fleet, session),
      ...troubleLines(fleet, now, session),
    ]);
  }
  return EXIT.ok;
}

function agentTable(agents: readonly AgentView[], { style }: Session): readonly string[] {
  if (agents.length === 0) return ['No agents.'];
  const [head = '', ...rows] = columns([
    ['AGENT', 'STATE', 'RUNS', 'FREE SLOTS', 'CPU', 'MEMORY', 'LABELS'],
    ...agents.map((agent) => [
      agent.agent,
      stateOf(agent),
      String(agent.running.length),
      `${agent.free.slots}/${agent.capacity.slots}`,
      `${agent.capacity.cpuMillis / 1_000}`,
      formatBytes(agent.capacity.memoryBytes),
      Object.entries(agent.labels)
        .map(([key, value]) => `${key}=${printable(value)}`)
        .join(','),
    ]),
  ]);
  return [style.bold(head), ...rows];
}

function stateOf({ connected, draining, cordoned, breaker }: AgentView): string {
  if (!connected) return 'away';
  if (draining) return 'draining';
  if (breaker.state !== 'closed') return `breaker ${breaker.state}`;
  return cordoned === '' ? 'connected' : 'cordoned';
}

/** Nothing where no agent says what pool it is of. */
function poolTable({ pools }: FleetView, { style }: Session): readonly string[] {
  if (pools.length === 0) return [];
  const [head = '', ...rows] = columns([
    ['POOL', 'AGENTS', 'CONNECTED', 'TAKE WORK', 'RUNS', 'BREAKER', 'RETRIES LEFT'],
    ...pools.map(({ name, agents, connected, taking, running, breaker, retriesLeft }) => [
      printable(name),
      ...[agents, connected, taking, running].map(String),
      breaker.state,
      String(Math.max(0, retriesLeft)),
    ]),
  ]);
  return ['', style.bold(head), ...rows];
}

/** What the coordinator itself needs. Servers from before there were dependencies in answers name none. */
function dependencyTable({ dependencies }: FleetView, { style }: Session): readonly string[] {
  if (dependencies.length === 0) return [];
  const words: Readonly<Record<string, string>> = { closed: 'answers', open: 'away', 'half-open': 'being tried' };
  const [head = '', ...rows] = columns([
    ['DEPENDENCY', 'STATE', 'ERRORS', ''],
    ...dependencies.map(({ name, breaker, detail }) => [
      printable(name),
      words[breaker.state] ?? breaker.state,
      String(breaker.errors),
      printable(detail),
    ]),
  ]);
  return ['', style.bold(head), ...rows.map((row) => row.trimEnd())];
}

/** What needs somebody's eye: why agents and pools get nothing, what the coordinator cannot reach, what is on hold. */
function troubleLines({ agents, pools, dependencies, holds }: FleetView, now: number, { style }: Session): readonly string[] {
  const lines = [
    ...dependencies
      .filter(({ breaker }) => breaker.state !== 'closed')
      .map(
        ({ name, breaker }) =>
          `${name === 'redis' ? 'Redis' : `The ${printable(name)}`} does not answer the coordinator${breakerText(breaker, now)}`,
      ),
    ...pools.filter(({ why }) => why !== '').map(({ why }) => printable(why)),
    ...agents
      .filter(
        ({ connected, breaker, cordoned, keptFrom }) => connected && keptFrom !== '' && (breaker.state !== 'closed' || cordoned !== ''),
      )
      .map(({ agent, keptFrom }) => `agent ${agent}: ${printable(keptFrom)}`),
  ].map((line) => style.warn(line));
  const all = [...lines, ...holdLines(holds, now, style)];
  return all.length === 0 ? [] : ['', ...all];
}

function breakerText({ sinceMs, lastError, probeAtMs }: BreakerView, now: number): string {
  const since = sinceMs === undefined ? '' : ` for ${formatTime(now - sinceMs)}`;
  const next = probeAtMs === undefined ? '' : `; it is asked again in ${formatTime(probeAtMs - now)}`;
  return `${since}: ${printable(lastError)}${next}`;
}

function holdLines(holds: readonly HoldView[], now: number, style: Style): readonly string[] {
  return holds.map((hold) => {
    const end = hold.expiresAtMs === undefined ? 'until it is lifted' : `for another ${formatTime(hold.expiresAtMs - now)}`;
    return style.warn(`${hold.target}: ${hold.kind} by ${printable(hold.by)} ${end}: ${printable(hold.reason)}`);
  });
}

export type HoldOptions = { readonly reason: string; readonly for?: string };

/** Keeps new work away from a target, or lets it come back. */
export async function holdCommand(
  session: Session,
  kind: 'pause' | 'drain' | 'resume',
  target: string,
  options: HoldOptions,
): Promise<number> {
  const full = targetOf(target);
  const lasts = options.for === undefined ? undefined : parseDurationMs(options.for);
  if (options.for !== undefined && (lasts === undefined || lasts === 0))
    throw new UsageError(`"${options.for}" is not a duration`, 'Write one such as 30m or 2h.');
  using server = await openServer(session);
  const before = await server.agents(session.signal).catch(() => undefined); // for notes only
  const expiresAtMs = lasts === undefined ? 0 : (await serverClock(server, session.terminal.clock, session.signal)).now() + lasts;
  await server.hold({ target: full, kind, reason: options.reason, expiresAtMs }, session.signal);
  const done = { pause: 'is paused', drain: 'is draining', resume: 'takes work again' }[kind];
  const notes = before === undefined ? [] : kind === 'resume' ? notesOfResume(full, before) : notesOfHold(full, before.agents);
  if (session.json) printJson(session, { target: full, kind, reason: options.reason, ...(expiresAtMs === 0 ? {} : { expiresAtMs }) });
  else for (const line of [`${full} ${done}${lasts === undefined ? '' : ` for ${options.for}`}`, ...notes]) say(session, line);
  return EXIT.ok;
}

export type ScaleInOptions = { readonly to: number; readonly reason: string; readonly for: string; readonly dryRun?: boolean };

/** Drains agents of a pool until `to` are left, the least loss first. */
export async function scaleInCommand(session: Session, pool: string, options: ScaleInOptions): Promise<number> {
  const lasts = parseDurationMs(options.for);
  if (lasts === undefined || lasts === 0) throw new UsageError(`"${options.for}" is not a duration`, 'Write one such as 30m or 2h.');
  using server = await openServer(session);
  const now = (await serverClock(server, session.terminal.clock, session.signal)).now();
  const { to: keep, reason, dryRun = false } = options;
  const { agents, serving } = await server.scaleIn({ pool, keep, reason, expiresAtMs: now + lasts, dryRun }, session.signal);
  if (session.json) printJson(session, { pool, keep, dryRun, serving, agents });
  else if (agents.length === 0) say(session, `${serving} agents of ${printable(pool)} serve: none is to go`);
  else {
    for (const { agent, running, sideEffects, workMs } of agents) {
      const effects = sideEffects === 0 ? '' : `, ${sideEffects} with side effects`;
      const what = running === 0 ? 'runs nothing' : `runs ${running} (${formatTime(workMs)} so far${effects})`;
      say(session, `agent:${agent} ${dryRun ? 'would drain' : 'is draining'}: it ${what}`);
    }
  }
  return EXIT.ok;
}

type Fleet = { readonly agents: readonly AgentView[]; readonly holds: readonly HoldView[] };

/** The targets that a hold on `agent` can have. */
function targetsOf({ agent, labels }: AgentView): readonly string[] {
  const cluster = labels['cluster'] ?? '';
  return [`agent:${agent}`, `pool:${cluster}/${labels['pool'] ?? ''}`, `cluster:${cluster}`];
}

/** A hold may come before its agent does, but more often its name is misspelt. */
function notesOfHold(target: string, agents: readonly AgentView[]): readonly string[] {
  const known = [...new Set(agents.flatMap(targetsOf))];
  if (known.includes(target)) return [];
  const near = suggest(target, known);
  const lift = `take it back with "switchyard resume ${target}"`;
  return [
    `Nothing that is known is ${target}: it holds what comes later. ${near === undefined ? `If that is wrong, ${lift}.` : `If you meant ${near}, ${lift}.`}`,
  ];
}

function notesOfResume(target: string, { agents, holds }: Fleet): readonly string[] {
  const others = agents.filter((agent) => targetsOf(agent).includes(target)).flatMap(targetsOf);
  const still = holds.filter((hold) => hold.target !== target && others.includes(hold.target)).map((hold) => hold.target);
  return [
    ...(holds.some((hold) => hold.target === target) ? [] : [`(${target} was not on hold.)`]),
    ...(still.length === 0 ? [] : [`Still on hold: ${still.join(', ')}; resume that too where it should take work.`]),
  ];
}

/** A bare name is an agent's. */
function targetOf(written: string): string {
  if (/^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/.test(written)) return `agent:${written}`;
  if (/^(agent:[a-z0-9.-]+|pool:[^/\s]+\/[^/\s]+|cluster:[^/\s]+)$/.test(written)) return written;
  throw new UsageError(`"${written}" is not a target`, "Write an agent's name, agent:NAME, pool:CLUSTER/POOL or cluster:NAME.");
}
