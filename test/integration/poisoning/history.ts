import fc from 'fast-check';
import { unreachable } from '../../../base/assert.ts';
import { isFault } from '../../../base/fault.ts';
import { NO_USAGE, type StepResult } from '../../../cache/action/result.ts';
import { digestOf, type Digest } from '../../../cache/digest.ts';
import type { DataPlane } from '../../../cache/rpc/client.ts';
import { readAll } from '../../contract/blob-store.ts';
import { influencesOf, SCOPES, type Actor, type Scope, type Standing, type World } from './world.ts';

const { signal } = new AbortController();
const BLOBS = 5;
const ACTIONS = 3;
/** Keys of dependency caches. */
const KEYS = 3;
/** Of a flood, for each of its `count`: half of what the store holds. */
const FLOOD_BLOBS = 8;
const FLOOD_BLOB_BYTES = 2 ** 20;
/** So small that what a run stores in one scope is less than the share that the scope has at the least. */
const LARGE_BYTES = 120_000;

/** What somebody does. `at` is the scope that they name, whatever is theirs. */
export type Op =
  /** Stores the bytes of `blob` under the digest of `named`: a forgery where they differ. */
  | {
      readonly kind: 'put';
      readonly actor: Actor;
      readonly at: Scope;
      readonly blob: number;
      readonly named: number;
      readonly large: boolean;
    }
  /** Says that `action` made `blob`. */
  | { readonly kind: 'result'; readonly actor: Actor; readonly at: Scope; readonly action: number; readonly blob: number }
  /** Says that the dependency cache of a key is `blob`: first write wins. */
  | { readonly kind: 'keep'; readonly actor: Actor; readonly at: Scope; readonly key: number; readonly blob: number }
  | { readonly kind: 'probe'; readonly actor: Actor; readonly at: Scope; readonly blob: number }
  /** Stores more than there is room for. */
  | { readonly kind: 'flood'; readonly actor: Actor; readonly at: Scope; readonly count: number }
  /**
   * Every scope runs the same action at once, and each gets another result, as steps do that are not as pure as they say; each keeps it
   * under the same key, too.
   */
  | { readonly kind: 'race'; readonly action: number; readonly name?: number };

const scope = fc.constantFrom(...SCOPES);
const blob = fc.nat(BLOBS - 1);
const action = fc.nat(ACTIONS - 1);
const key = fc.nat(KEYS - 1);

/** Mostly what is theirs, as far as they know. The coordinator is trusted to name the scope of the build. */
const own = <T extends { readonly actor: Actor; readonly at: Scope; readonly home: boolean }>(op: T): Omit<T, 'home'> => {
  const { home, ...rest } = op;
  return home || op.actor.kind === 'coordinator' ? { ...rest, at: op.actor.scope } : rest;
};

/** `honest` and `hostile` weigh what is in order against what is tried nevertheless; `floods`, which take long, against the rest. */
function opsOf(honest: number, hostile: number, floods: number): fc.Arbitrary<Op> {
  const standing = fc.oneof(
    { weight: honest, arbitrary: fc.constant<Standing>('live') },
    { weight: hostile, arbitrary: fc.constantFrom<Standing>('ended', 'expired', 'stolen', 'forged') },
  );
  const actor: fc.Arbitrary<Actor> = fc.oneof(
    fc.record({ kind: fc.constant('caller' as const), scope }),
    fc.record({ kind: fc.constant('attempt' as const), scope, standing }),
  );
  const writer: fc.Arbitrary<Actor> = fc.oneof(
    { weight: 2, arbitrary: actor },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('coordinator' as const), scope }) },
  );
  const home = fc.oneof({ weight: honest, arbitrary: fc.constant(true) }, { weight: hostile, arbitrary: fc.constant(false) });
  const named = fc.oneof({ weight: honest, arbitrary: fc.constant(undefined) }, { weight: hostile, arbitrary: blob });
  const large = fc.boolean();
  const count = fc.integer({ min: 1, max: 3 });
  return fc.oneof(
    {
      weight: 4,
      arbitrary: fc
        .record({ kind: fc.constant('put' as const), actor: writer, at: scope, home, blob, named, large })
        .map((put) => own({ ...put, named: put.named ?? put.blob })),
    },
    { weight: 4, arbitrary: fc.record({ kind: fc.constant('result' as const), actor: writer, at: scope, home, action, blob }).map(own) },
    { weight: 2, arbitrary: fc.record({ kind: fc.constant('keep' as const), actor: writer, at: scope, home, key, blob }).map(own) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('probe' as const), actor, at: scope, home, blob }).map(own) },
    { weight: floods, arbitrary: fc.record({ kind: fc.constant('flood' as const), actor, at: scope, home, count }).map(own) },
    { weight: 1, arbitrary: fc.record({ kind: fc.constant('race' as const), action }) },
  );
}

/** Races keep their names when others are left out. */
const historyOf = (op: fc.Arbitrary<Op>) =>
  fc
    .array(op, { minLength: 8, maxLength: 32 })
    .map((ops) => ops.map((one, index) => (one.kind === 'race' ? { ...one, name: index } : one)));

const quiet = [historyOf(opsOf(3, 1, 0)), historyOf(opsOf(1, 2, 0))] as const;
const flooded = historyOf(opsOf(2, 1, 1));

export const histories = fc.oneof(...quiet, flooded);
/** Those with floods, and those without. */
export const historiesOf = (withFloods: boolean) => (withFloods ? flooded : fc.oneof(...quiet));
export const observers = fc.constantFrom<Scope>('main', 'main/pr-7', 'release');

/** What of a history may make a difference to the observer: what is done with the rights of its own scope or one above it. */
export function influences(history: readonly Op[], observer: Scope): readonly Op[] {
  const trusted = influencesOf(observer);
  return history.filter((one) => {
    if (one.kind === 'race') return true; // of which `perform` leaves out the other scopes
    return trusted.includes(one.actor.scope) && (one.actor.kind !== 'attempt' || one.actor.standing === 'live');
  });
}

/** All that the scope's people see: which blobs are there, their bytes, what each action made, and what each key stands for. */
export type Sight = Readonly<Record<string, unknown>>;

/** What a scope fills itself, or those whose cache it reads, it may lose itself; who keeps to their share loses nothing to others. */
function isOwnFlood(one: Op, observer: Scope): boolean {
  return one.kind === 'flood' && influencesOf(observer).includes(one.at);
}

/**
 * Carries a history out and tells what the observer sees then. Contents and actions bear the name of the run, so that runs in the same
 * world have nothing in common; in what is seen they are numbers again.
 */
export async function perform(world: World, history: readonly Op[], observer: Scope, only: readonly string[], run: string): Promise<Sight> {
  const bytes = Array.from({ length: BLOBS }, (_, index) => [contentOf(run, index, false), contentOf(run, index, true)] as const);
  const known = new Map<Digest, string>();
  for (const [index, pair] of bytes.entries()) for (const [size, one] of pair.entries()) known.set(digestOf(one), `blob ${index}.${size}`);
  for (const one of history.filter((op) => !isOwnFlood(op, observer))) {
    if (one.kind === 'race') await race(world, one.action, only, `${run} race ${one.name}`, run, known);
    else await quietly(act(world, one, run));
  }
  const seen: Record<string, unknown> = {};
  const actors: readonly Actor[] = [
    { kind: 'caller', scope: observer },
    { kind: 'coordinator', scope: observer },
    { kind: 'attempt', scope: observer, standing: 'live' },
  ];
  for (const one of actors) {
    seen[one.kind] = {
      blobs: await blobsSeen(world.as(one, observer, `${run} observer`), known),
      names: await namesSeen(world, one, observer, known, run),
    };
  }
  return seen;
}

async function act(world: World, one: Exclude<Op, { kind: 'race' }>, run: string): Promise<void> {
  const plane = world.as(one.actor, one.at, run);
  switch (one.kind) {
    case 'put':
      return world.upload(one.actor, one.at, run, digestOf(contentOf(run, one.named, one.large)), contentOf(run, one.blob, one.large));
    case 'result':
      return plane.actions.put(actionOf(run, one.action), resultOf(digestOf(contentOf(run, one.blob, false))), signal);
    case 'keep':
      return world.keep(one.actor, one.at, run, keyOf(run, one.key), resultOf(digestOf(contentOf(run, one.blob, false))));
    case 'probe':
      await plane.store.findMissing([digestOf(contentOf(run, one.blob, false))], signal);
      return;
    case 'flood':
      for (let index = 0; index < one.count * FLOOD_BLOBS; index += 1) {
        const flood = Buffer.alloc(FLOOD_BLOB_BYTES, `${run} flood ${one.at} ${index}`);
        await plane.store.put(digestOf(flood), flood, signal);
      }
      return;
    default:
      return unreachable(one);
  }
}

/** Each of `only` runs the action, at once, and keeps another result of it. */
async function race(
  world: World,
  action_: number,
  only: readonly string[],
  turn: string,
  run: string,
  known: Map<Digest, string>,
): Promise<void> {
  await Promise.all(
    SCOPES.filter((one) => only.includes(one)).map(async (one) => {
      const made = Buffer.from(`${turn} made in ${one}`);
      known.set(digestOf(made), `made in${turn.slice(run.length)} by ${one}`);
      const attempt = world.as({ kind: 'attempt', scope: one, standing: 'live' }, one, turn);
      await attempt.store.put(digestOf(made), made, signal);
      const coordinator: Actor = { kind: 'coordinator', scope: one };
      await quietly(world.as(coordinator, one, turn).actions.put(actionOf(run, action_), resultOf(digestOf(made)), signal));
      await quietly(world.keep(coordinator, one, turn, keyOf(run, action_), resultOf(digestOf(made))));
    }),
  );
}

async function blobsSeen(plane: DataPlane, known: ReadonlyMap<Digest, string>): Promise<unknown> {
  const digests = [...known.keys()];
  const missing = new Set(await plane.store.findMissing(digests, signal));
  const blobs: Record<string, string> = {};
  for (const digest of digests) {
    const name = known.get(digest) ?? '';
    const read = await answerOf(async () => (digestOf(await readAll(plane.store, digest)) === digest ? 'whole' : 'WRONG'));
    if (!missing.has(digest) || read !== 'BLOB_UNKNOWN') blobs[name] = `${missing.has(digest) ? 'missing' : 'there'}, ${read}`;
  }
  return blobs;
}

/** What actions and keys stand for. Agents look nothing up. */
async function namesSeen(
  world: World,
  actor: Actor,
  observer: Scope,
  known: ReadonlyMap<Digest, string>,
  run: string,
): Promise<Readonly<Record<string, string>>> {
  const names: Record<string, string> = {};
  if (actor.kind === 'attempt') return names;
  const at = `${run} observer`;
  const outputOf = (result: StepResult | undefined) => {
    const output = result?.outputs[0];
    return output?.kind === 'file' ? (known.get(output.digest) ?? 'unknown bytes') : 'nothing';
  };
  for (let index = 0; index < ACTIONS; index += 1) {
    const look = () => world.as(actor, observer, at).actions.get(actionOf(run, index), signal);
    names[`action ${index}`] = await answerOf(async () => outputOf(await look()));
  }
  for (let index = 0; index < KEYS; index += 1) {
    const look = () => world.find(actor, observer, at, keyOf(run, index), []);
    names[`key ${index}`] = await answerOf(async () => outputOf(await look()));
  }
  const newest = () => world.find(actor, observer, at, keyOf(run, 'none'), [keyOf(run, '')]);
  names['newest key'] = await answerOf(async () => outputOf(await newest()));
  return names;
}

async function answerOf(work: () => Promise<string>): Promise<string> {
  try {
    return await work();
  } catch (error) {
    if (isFault(error)) return error.code;
    throw error;
  }
}

/** Most of what is tried here is refused. */
async function quietly(work: Promise<unknown>): Promise<void> {
  await work.catch((error: unknown) => {
    if (!isFault(error)) throw error;
  });
}

function contentOf(run: string, index: number, large: boolean): Buffer {
  return large ? Buffer.alloc(LARGE_BYTES, `${run} large ${index}`) : Buffer.from(`${run} blob ${index}`);
}

function actionOf(run: string, index: number): Digest {
  return digestOf(Buffer.from(`${run} action ${index}`));
}

function keyOf(run: string, key: number | string): string {
  return `${run} npm-${key}`;
}

function resultOf(digest: Digest): StepResult {
  const outputs = [{ kind: 'file', path: 'out', digest, executable: false }] as const;
  return { exitCode: 0, outputs, log: undefined, usage: NO_USAGE, agent: 'a', startedAt: 1, endedAt: 2 };
}
