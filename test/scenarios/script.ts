import { weightedTopology } from '../fixtures/weighted-topology.ts';
import { present } from '../../base/assert.ts';
import { FAILURE_CLASSES } from '../../base/failure.ts';
import { parseCpuMillis, parseDurationMs, parseSizeBytes } from '../../base/quantity.ts';
import { SANDBOX_TRAITS } from '../../base/sandbox-trait.ts';
import { reasonOf } from '../../base/thrown.ts';
import { parseZone } from '../../base/zone.ts';
import type { AttemptReport } from '../../cache/action/result.ts';
import type { HeldLease } from '../../coordinator/core/event.ts';
import type { Outbound, Outcome, Reply } from '../../coordinator/core/outcome.ts';
import type { LedgerRecord } from '../../coordinator/core/record.ts';
import { DEFAULT_RETRY } from '../../coordinator/core/spec.ts';
import type { StepOutcome } from '../../coordinator/core/state.ts';
import { buildId, digestFor, failure, RESULT, short, Stage, stepId, SUCCESS, type StepSketch } from './stage.ts';

/**
 * The little language of the scenarios: a command a line, its outcome below `----`, blocks apart by an empty line. What is
 * below is recorded: run the tests with `-u` to write it anew, and read the difference before you keep it.
 */
export function play(script: string): string {
  let stage = new Stage();
  const blocks = script
    .trim()
    .split(/\n\n+/)
    .map((block) => {
      if (block.startsWith('#')) return block;
      const [input = ''] = block.split('\n----');
      const [command = '', ...body] = input.split('\n');
      const words = command.split(' ');
      if (words[0] === 'settings') stage = new Stage(settingsOf(optionsOf(words.slice(1))));
      const lines = words[0] === 'settings' ? [] : attempt(stage, words, body);
      return `${input}\n----\n${lines.length === 0 ? 'ok' : lines.join('\n')}`;
    });
  return `${blocks.join('\n\n')}\n`;
}

/** What cannot be done is recorded like any outcome. */
function attempt(stage: Stage, words: readonly string[], body: readonly string[]): readonly string[] {
  try {
    return run(stage, words, body);
  } catch (error) {
    return [`impossible: ${reasonOf(error)}`];
  }
}

type Options = ReadonlyMap<string, string>;

function run(stage: Stage, [verb = '', subject = '', ...rest]: readonly string[], body: readonly string[]): readonly string[] {
  const options = optionsOf(rest);
  const how = rest[0] ?? '';
  switch (verb) {
    case 'agent':
      return show(stage, stage.agent(subject, agentOf(stage, options)));
    case 'submit':
      return show(stage, stage.submit(subject, body.map(sketchOf), buildOf(options)));
    case 'ready':
      return subject === 'all' ? readyAll(stage) : show(stage, stage.ready(subject, options.get('action') ?? subject, partsOf(options)));
    case 'hit':
      return show(
        stage,
        stage.apply({
          kind: 'step-resolved',
          step: stepId(subject),
          resolution: {
            kind: 'hit',
            action: { action: digestFor(subject), inputRoot: digestFor(''), inputBytes: 0, parts: [] },
            result: RESULT,
          },
        }),
      );
    case 'accept':
      return show(stage, stage.accept(subject));
    case 'reject':
      return show(stage, stage.reject(subject, rest.join(' ')));
    case 'start':
      return show(stage, stage.start(subject));
    case 'finish':
      return show(stage, stage.finish(subject, reportOf(how)));
    case 'run':
      return show(stage, stage.run(subject, reportOf(how)));
    case 'heartbeat':
      return show(
        stage,
        stage.heartbeat(
          subject,
          rest.filter((word) => word.includes('/')).map((step) => stage.token(step)),
          Number(options.get('credits') ?? 8),
        ),
      );
    case 'disconnect':
      return show(stage, stage.apply({ kind: 'agent-disconnected', session: stage.session(subject) }));
    case 'leave':
      return show(stage, stage.apply({ kind: 'agent-left', session: stage.session(subject) }));
    case 'drain':
      return show(stage, stage.apply({ kind: 'agent-drained', session: stage.session(subject), reason: rest.join(' ') }));
    case 'cancel':
      return show(
        stage,
        stage.apply(
          subject.includes('/')
            ? { kind: 'step-cancelled', step: stepId(subject), by: 'ann', reason: rest.join(' ') }
            : { kind: 'build-cancelled', id: buildId(subject), by: 'ann', reason: rest.join(' ') },
        ),
      );
    case 'retry':
      return show(stage, stage.apply({ kind: 'step-retried', step: stepId(subject), by: 'ann' }));
    case 'hold':
      return show(
        stage,
        stage.apply({
          kind: 'hold-placed',
          target: subject,
          hold: how === 'drain' ? 'drain' : 'pause',
          reason: 'upkeep',
          by: 'ann',
          expiresAt: options.has('for') ? stage.now + msOf(options, 'for') : undefined,
        }),
      );
    case 'lift':
      return show(stage, stage.apply({ kind: 'hold-lifted', target: subject, by: 'ann' }));
    case 'advance':
      return advance(stage, present(parseDurationMs(subject), `"${subject}" is a duration`));
    case 'crash':
      return show(stage, stage.crash());
    case 'explain':
      return explained(stage, subject);
    case 'steps':
      return (stage.scheduler.build(buildId(subject))?.steps ?? []).map(
        (step) =>
          `${step.spec.name}: ${step.record.state.kind}${stage.placeOf(short(step.id)) === undefined ? '' : ` on ${stage.placeOf(short(step.id))}`}`,
      );
    default:
      throw new Error(`Unknown command "${verb}"`);
  }
}

function readyAll(stage: Stage): readonly string[] {
  const from = stage.ledger.length;
  stage.readyAll();
  return stage.ledger.slice(from).flatMap(recordLine);
}

function advance(stage: Stage, ms: number): readonly string[] {
  const lines = stage.advance(ms).flatMap((outcome) => [...outcome.writes.flatMap(recordLine), ...outcome.sends.map(sendLine)]);
  return [...lines, ...wakeLine(stage)];
}

function show(stage: Stage, outcome: Outcome): readonly string[] {
  return [...replyLine(outcome.reply), ...outcome.writes.flatMap(recordLine), ...outcome.sends.map(sendLine), ...wakeLine(stage)];
}

function wakeLine(stage: Stage): readonly string[] {
  const { wakeAt } = stage.last;
  return wakeAt === undefined ? [] : [`wake in ${(wakeAt - stage.now) / 1_000}s`];
}

function recordLine(record: LedgerRecord): string[] {
  switch (record.kind) {
    case 'event': {
      const { event } = record;
      const where = `${short(record.build)}${'step' in event ? `/${event.step}` : ''}`;
      switch (event.kind) {
        case 'step-queued':
          return [`${where} queued: ${short(event.why)}${event.notBefore === undefined ? '' : ', later'}`];
        case 'step-merged':
          return [`${where} merged into ${short(event.into)}`];
        case 'attempt-accepted':
        case 'attempt-started':
          return [`${where} ${event.kind} ${event.attempt} on ${event.agent}`];
        case 'attempt-ended':
          return [`${where} attempt-ended ${event.attempt} on ${event.agent}: ${event.why}`];
        case 'step-ended':
          return [`${where} ended: ${outcomeText(event.outcome)}`];
        case 'build-ended':
          return [`${where} ended: ${event.outcome}${event.degraded.length === 0 ? '' : ` without ${event.degraded.join('; ')}`}`];
        case 'build-accepted':
        case 'step-ready':
          return [`${where} ${event.kind}`];
      }
    }
    // falls through: every event has returned
    case 'hold-lifted':
      return record.kind === 'hold-lifted' ? [`${record.target} lifted`] : [];
    case 'build':
    case 'build-state':
    case 'step-spec':
    case 'step':
    case 'session':
    case 'agent-forgotten':
    case 'hold':
    case 'topology':
    case 'topology-forgotten':
    case 'build-forgotten':
      return [];
  }
}

function outcomeText(outcome: StepOutcome): string {
  switch (outcome.kind) {
    case 'succeeded':
      return `succeeded from ${outcome.from}`;
    case 'failed':
    case 'errored':
      return `${outcome.kind}, ${outcome.class}: ${outcome.message}`;
    case 'quarantined':
      return `quarantined after ${outcome.agents.join(', ')}`;
    case 'timed-out':
      return `timed out (${outcome.bound})`;
    case 'cancelled':
      return `cancelled by ${outcome.by}: ${outcome.reason}`;
    case 'skipped':
      return `skipped (${outcome.why}): ${outcome.detail}`;
  }
}

function sendLine(send: Outbound): string {
  switch (send.kind) {
    case 'resolve':
      return `-> resolve ${short(send.step)}`;
    case 'publish':
      return `-> publish ${short(send.step)}`;
    case 'seal':
      return `-> seal ${short(send.step)}`;
    case 'keep-dependencies':
      return `-> keep-dependencies ${short(send.step)} ${send.saves.map(({ name }) => name).join(' ')}`;
    case 'distrusted':
      return `-> distrusted ${short(send.step)}: ${send.why}`;
    case 'close-log':
      return `-> close-log ${send.token}`;
    case 'forget-build':
      return `-> forget-build ${short(send.id)}`;
    case 'tell-agent': {
      const { message } = send;
      const words = Object.entries(message).filter(([key]) => ['token', 'step', 'attempt', 'verdict', 'reason', 'graceMs'].includes(key));
      const lists = 'held' in message ? message.held : 'leases' in message ? message.leases : [];
      const text = [
        ...words.map(([key, value]) => `${key}=${short(String(value))}`),
        ...lists.map(({ token, verdict }) => `${token}:${verdict}`),
      ];
      return `-> ${send.session} ${[message.kind, ...text].join(' ')}`;
    }
  }
}

function replyLine(reply: Reply | undefined): string[] {
  if (reply === undefined) return [];
  switch (reply.kind) {
    case 'build':
      return [`reply ${short(reply.id)}${reply.existing ? ', which exists' : ''}`];
    case 'session':
      return [`reply ${reply.session}`];
    case 'topology':
      return [`reply revision ${reply.revision}`];
    case 'done':
      return ['reply done'];
    case 'refused':
      return [`refused ${reply.code}: ${short(reply.message)}`];
  }
}

function explained(stage: Stage, step: string): readonly string[] {
  const explanation = present(stage.scheduler.explain(stepId(step), stage.now), `step ${step} exists`);
  return [
    short(explanation.summary),
    ...explanation.reasons.map((reason) => `reason: ${short(reason)}`),
    ...explanation.nearest.map(({ agent, lacks }) => `near: ${agent}${lacks.length === 0 ? '' : `, but ${lacks.join('; ')}`}`),
    ...explanation.placement.map(({ term, score, why }) => `placed: ${term} ${score}, ${why}`),
  ];
}

function optionsOf(words: readonly string[]): Options {
  return new Map(
    words.filter((word) => word.includes('=')).map((word) => [word.slice(0, word.indexOf('=')), word.slice(word.indexOf('=') + 1)]),
  );
}

function msOf(options: Options, name: string): number {
  return present(parseDurationMs(options.get(name) ?? ''), `${name} is a duration`);
}

function settingsOf(options: Options): ConstructorParameters<typeof Stage>[0] {
  const pairs = (options.get('weights') ?? '').split(',').filter((pair) => pair !== '');
  const timings = options.has('ageing') ? { ageingMs: msOf(options, 'ageing') } : {};
  return {
    timings,
    topology: weightedTopology(Object.fromEntries(pairs.map((pair) => [pair.split(':')[0] ?? '', Number(pair.split(':')[1])]))),
  };
}

function agentOf(stage: Stage, options: Options) {
  const capacity = {
    slots: Number(options.get('slots') ?? 1),
    ...(options.has('cpu') ? { cpuMillis: present(parseCpuMillis(options.get('cpu') ?? ''), 'cpu') } : {}),
    ...(options.has('memory') ? { memoryBytes: present(parseSizeBytes(options.get('memory') ?? ''), 'memory') } : {}),
    ...(options.has('gpu') ? { custom: { gpu: Number(options.get('gpu')) } } : {}),
  };
  const labels = Object.fromEntries(
    (options.get('labels') ?? '')
      .split(',')
      .filter(Boolean)
      .map((pair) => [pair.split(':')[0] ?? '', pair.split(':')[1] ?? '']),
  );
  const held: HeldLease[] = (options.get('held') ?? '')
    .split(',')
    .filter(Boolean)
    .map((step) => ({ token: stage.token(step), phase: { kind: 'started' } }));
  const sandbox = SANDBOX_TRAITS.filter((trait) => options.get('traits')?.split(',').includes(trait));
  return { capacity, labels, held, sandbox, credits: Number(options.get('credits') ?? 8), bootId: options.get('boot') ?? 'boot-1' };
}

function buildOf(options: Options) {
  return {
    ...(options.has('key') ? { key: options.get('key') ?? '' } : {}),
    ...(options.has('project') ? { project: options.get('project') ?? '' } : {}),
    ...(options.has('scope') ? { scope: options.get('scope') ?? '' } : {}),
    ...(options.has('weight') ? { weight: Number(options.get('weight')) } : {}),
    ...(options.has('timeout') ? { timeoutMs: msOf(options, 'timeout') } : {}),
    failFast: options.get('fail-fast') === 'true',
  };
}

function partsOf(options: Options) {
  if (!options.has('inputs')) return {};
  const bytes = present(parseSizeBytes(options.get('bytes') ?? ''), 'bytes is a size');
  return { inputBytes: bytes, parts: [{ root: digestFor(options.get('inputs') ?? ''), bytes }] };
}

function sketchOf(line: string): StepSketch {
  const [name = '', ...words] = line.trim().split(' ');
  const options = optionsOf(words);
  const retry = new Map(
    (options.get('retry') ?? '')
      .split(',')
      .filter(Boolean)
      .map((pair) => [pair.split(':')[0], Number(pair.split(':')[1])]),
  );
  const limits = { ...DEFAULT_RETRY.limits, ...Object.fromEntries(retry) };
  const lag = options.get('lag')?.split(':');
  const runIf = options.get('if') ?? 'succeeded';
  return {
    name,
    needs: (options.get('needs') ?? '').split(',').filter(Boolean),
    selector: options.get('selector') ?? '',
    resources: { slots: Number(options.get('slots') ?? 1), custom: options.has('gpu') ? { gpu: Number(options.get('gpu')) } : {} },
    priority: Number(options.get('priority') ?? 0),
    zone: parseZone(options.get('zone') ?? '') ?? 'untrusted',
    cacheable: options.get('cacheable') !== 'false',
    critical: options.get('critical') !== 'false',
    runIf: runIf === 'failed' || runIf === 'always' ? runIf : 'succeeded',
    retry: { ...DEFAULT_RETRY, limits },
    ...(options.has('queue-timeout') ? { queueTimeoutMs: msOf(options, 'queue-timeout') } : {}),
    ...(options.has('total-timeout') ? { totalTimeoutMs: msOf(options, 'total-timeout') } : {}),
    ...(lag === undefined
      ? {}
      : {
          onLag: {
            afterMs: present(parseDurationMs(lag[0] ?? ''), 'lag'),
            use: lag[1] === 'default' ? ('default' as const) : ('skip' as const),
          },
        }),
  };
}

function reportOf(how: string): AttemptReport {
  if (how === '' || how === 'ok') return SUCCESS;
  if (!(how in FAILURE_CLASSES)) throw new Error(`"${how}" is no failure class`);
  return failure(how as keyof typeof FAILURE_CLASSES); // checked in the line above
}
