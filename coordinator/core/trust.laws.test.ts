import * as fc from 'fast-check';
import { expect, test } from 'vitest';
import { present } from '../../base/assert.ts';
import { memoryLogger } from '../../base/log.ts';
import { prngFrom } from '../../base/prng.ts';
import { atLeast, parseZone, ZONES, type Zone } from '../../base/zone.ts';
import { actionOf as encodedActionOf } from '../../cache/action/action.ts';
import { digestOf } from '../../cache/digest.ts';
import { actionOf, RESULT, Stage } from '../../test/scenarios/stage.ts';
import { inputFloor, OPEN_TOPOLOGY, type Topology } from '../../topology/model.ts';
import { zoneGate } from '../shell/zone-gate.ts';
import type { StepView } from './view.ts';

const zone = fc.constantFrom(...ZONES);
const step = fc.record({
  zone,
  kind: fc.nat(2),
  leaves: fc.nat(6).map((drawn) => drawn > 0),
  takes: fc.uniqueArray(fc.nat(6), { maxLength: 2 }),
});
const deed = fc.oneof(
  { weight: 4, arbitrary: fc.record({ submit: fc.array(step, { minLength: 1, maxLength: 6 }), ceiling: zone }) },
  { weight: 8, arbitrary: fc.record({ run: fc.nat(5) }) },
  { weight: 2, arbitrary: fc.record({ cluster: fc.nat(2), lowered: zone }) },
  { weight: 1, arbitrary: fc.constant({ crash: true as const }) },
);
const world = fc.record({
  floors: fc.record({ trusted: zone, production: zone }),
  deeds: fc.array(deed, { minLength: 10, maxLength: 60 }),
});

const lower = (left: Zone, right: Zone): Zone => (atLeast(left, right) ? right : left);

test('over random graphs, callers, caches and clusters whose zones change, no step takes what is of less trust than its zone asks for', () => {
  const seen = { refused: 0, fromCache: 0, tainted: 0 };
  fc.assert(
    fc.property(world, ({ floors, deeds }) => {
      const zones = [...ZONES];
      const topology = (): Topology => ({
        ...OPEN_TOPOLOGY,
        unlisted: 'refuse',
        clusters: zones.map((one, index) => ({ name: `c${index}`, zone: one, pools: [] })),
        zones: { trusted: { inputs: floors.trusted }, production: { inputs: floors.production } },
      });
      const stage = new Stage({ topology: topology() });
      for (const index of zones.keys())
        stage.agent(`a${index}`, {
          labels: { cluster: `c${index}`, zone: 'production' },
          capacity: { slots: 3 },
          credits: 10_000,
          sandbox: ['isolatesHost'],
        });
      /** How far each result is to be trusted, by what has happened alone; and what the action cache holds. */
      const truth = new Map<string, Zone>();
      const cache = new Map<string, Zone>();
      const zoneOfAgent = (id: string) =>
        parseZone(stage.scheduler.agents().find((agent) => agent.id === id)?.labels['zone'] ?? '') ?? ZONES[0];
      const viewOf = (id: string): StepView =>
        present(
          stage.scheduler
            .builds({ limit: 1_000 })
            .flatMap(({ steps }) => steps)
            .find((one) => one.id === id),
          'the step is known',
        );
      const inputsOf = (view: StepView) => {
        const build = view.id.slice(0, view.id.indexOf('/'));
        return view.spec.needs.map((need) => viewOf(`${build}/${need.step}`)).filter(({ spec }) => spec.outputs.length > 0);
      };
      const contentOf = (view: StepView): string => `${view.spec.salt}(${inputsOf(view).map(contentOf).join(',')})`;
      const keyOf = (view: StepView) => encodedActionOf({ ...view.spec, inputRoot: digestOf(Buffer.from(contentOf(view))) }).action;
      const trustOfInputs = (view: StepView) =>
        inputsOf(view).reduce((sum: Zone, input) => lower(sum, truth.get(input.id) ?? 'production'), 'production');
      /** The law: what a step that gets going takes is of enough trust. */
      const checkInputs = (view: StepView) => {
        for (const input of inputsOf(view))
          expect(
            atLeast(present(truth.get(input.id), 'inputs have ended'), inputFloor(topology(), view.spec.zone)),
            `${input.id} into ${view.id}`,
          ).toBe(true);
      };
      const gate = () => zoneGate({ core: stage.scheduler, floorOf: () => undefined, log: memoryLogger() });
      const took = () => {
        for (const record of stage.last.writes) {
          if (record.kind !== 'step') continue;
          const view = viewOf(record.id);
          const { state } = record.step;
          if (state.kind === 'offered') {
            checkInputs(view);
            expect(atLeast(zoneOfAgent(state.lease.agent), view.spec.zone)).toBe(true);
          }
          if (state.kind !== 'ended' || state.outcome.kind !== 'succeeded' || truth.has(record.id)) continue;
          const ran = state.outcome.from === 'run' ? zoneOfAgent(record.step.attempts.at(-1)?.agent ?? '') : undefined;
          const kept = state.outcome.from === 'cache' ? cache.get(keyOf(view)) : undefined;
          const led = state.outcome.from === 'merge' ? truth.get(record.step.endOf ?? '') : undefined;
          checkInputs(view);
          truth.set(record.id, lower(trustOfInputs(view), present(ran ?? kept ?? led, 'a result comes from somewhere')));
          if (!atLeast(truth.get(record.id) ?? 'untrusted', view.spec.zone)) seen.tainted += 1;
        }
        for (const send of stage.last.sends) {
          if (send.kind !== 'publish' || !gate()(send.step)) continue;
          const view = viewOf(send.step);
          cache.set(keyOf(view), zoneOfAgent(view.record.attempts.at(-1)?.agent ?? ''));
        }
      };
      const resolveAll = () => {
        const open = () =>
          stage.scheduler
            .builds({ limit: 1_000 })
            .flatMap(({ steps }) => steps)
            .find(({ record }) => record.state.kind === 'resolving');
        for (let view = open(); view !== undefined; view = open()) {
          const key = keyOf(view);
          const action = { ...actionOf('', {}), action: key };
          const hit = cache.has(key);
          if (hit) seen.fromCache += 1;
          const resolution = hit ? ({ kind: 'hit', action, result: RESULT } as const) : ({ kind: 'ready', action } as const);
          stage.apply({ kind: 'step-resolved', step: view.id, resolution });
          took();
        }
      };
      let count = 0;
      let digest = '';
      for (const one of deeds) {
        if ('submit' in one) {
          const steps = one.submit.map(({ zone: wanted, kind, takes, leaves }, index) => ({
            name: `s${index}`,
            zone: wanted,
            salt: `k${kind}`,
            cacheable: true,
            sideEffects: false,
            outputs: leaves ? ['out'] : [],
            takes: takes.filter((need) => need < index).map((need) => `s${need}`),
          }));
          count += 1;
          const { reply } = stage.submit(`b${count}`, steps, { zoneCeiling: one.ceiling });
          /** Trust as it can be told before anything has run. */
          const early: Zone[] = [];
          let allowed = steps.every((wanted) => atLeast(one.ceiling, wanted.zone));
          for (const { zone: own, takes } of steps) {
            const inputs = takes
              .map((need) => Number(need.slice(1)))
              .filter((need) => steps[need]?.outputs.length === 1)
              .map((need) => present(early[need], 'steps take of earlier ones'));
            allowed &&= inputs.every((trust) => atLeast(trust, inputFloor(topology(), own)));
            early.push(inputs.reduce(lower, own));
          }
          expect(reply?.kind, JSON.stringify(reply)).toBe(allowed ? 'build' : 'refused');
          if (!allowed) {
            seen.refused += 1;
            expect(reply).toMatchObject({ code: 'FORBIDDEN', field: expect.stringMatching(/^steps\[\d\]\.(zone|needs\[\d\])$/) });
          }
          took();
          resolveAll();
        } else if ('run' in one) {
          const running = stage.scheduler.agents().flatMap((agent) => agent.running);
          const id = running[one.run % Math.max(1, running.length)];
          if (id !== undefined) {
            const view = viewOf(id);
            if (view.record.state.kind === 'offered') stage.accept(id.replace(/^b-0*/, ''));
            else stage.finish(id.replace(/^b-0*/, ''));
            took();
            resolveAll();
          }
        } else if ('cluster' in one) {
          zones[one.cluster] = one.lowered;
          const next = `${digest}x`;
          stage.apply({ kind: 'topology-applied', base: digest, digest: next, text: '', topology: topology(), by: 'ann', reason: '' });
          digest = next;
          took();
        } else {
          stage.crash();
          for (const index of zones.keys()) {
            const held = stage.scheduler.agents().find(({ id }) => id === `a${index}`)?.running ?? [];
            const tokens = held.map((id) => ({ token: stage.token(id.replace(/^b-0*/, '')), phase: { kind: 'started' as const } }));
            stage.agent(`a${index}`, {
              labels: { cluster: `c${index}`, zone: 'production' },
              capacity: { slots: 3 },
              credits: 10_000,
              sandbox: ['isolatesHost'],
              held: tokens,
            });
            took();
          }
          resolveAll();
        }
      }
    }),
    { numRuns: 250 },
  );
  for (const [what, times] of Object.entries(seen)) expect(times, what).toBeGreaterThan(0);
});

/** Waits of trusted steps in simulated milliseconds, ascending, with or without a flood of untrusted ones. */
function waitsOf({ flood, exclusive }: { readonly flood: boolean; readonly exclusive: boolean }): readonly number[] {
  const stage = new Stage({ topology: { ...OPEN_TOPOLOGY, zones: { trusted: { exclusive, inputs: 'untrusted' } } } });
  for (const own of ['trusted', 'untrusted'] as const)
    for (let index = 0; index < 4; index += 1) stage.agent(`${own}${index}`, { labels: { cluster: own, zone: own }, credits: 100_000 });
  const prng = prngFrom(7);
  const arrivals: number[] = [];
  // 4 agents, 1.5 s a step, one every 500 ms on average: three quarters of them are busy.
  for (let at = 0; at < 400_000; at += prng.below(1_000)) arrivals.push(at);
  const ends: { readonly at: number; readonly step: string }[] = [];
  const waits: number[] = [];
  const took = (outcomes: readonly (typeof stage.last)[]) => {
    for (const name of outcomes.flatMap((outcome) => stage.offered(outcome))) {
      const isFlood = name.startsWith('flood');
      if (!isFlood) waits.push(stage.now - (arrivals[Number(name.slice(1, name.indexOf('/')))] ?? 0));
      stage.accept(name);
      ends.push({ at: stage.now + (isFlood ? 4_000 : 1_500), step: name });
      ends.sort((left, right) => left.at - right.at);
    }
  };
  const until = (at: number) => {
    for (let next = ends[0]; next !== undefined && next.at <= at; next = ends[0]) {
      ends.shift();
      took(stage.advance(next.at - stage.now));
      took([stage.finish(next.step)]);
    }
    took(stage.advance(at - stage.now));
  };
  const ready = (step: string) => took([stage.ready(step)]);
  for (const [index, at] of arrivals.entries()) {
    until(at);
    if (flood && index === 20) {
      stage.submit(
        'flood',
        Array.from({ length: 1_000 }, (_, number) => ({ name: `s${number}` })),
        { project: 'noise' },
      );
      for (let number = 0; number < 1_000; number += 1) ready(`flood/s${number}`);
    }
    stage.submit(`b${index}`, [{ name: 's', zone: 'trusted' }]);
    ready(`b${index}/s`);
  }
  until((arrivals.at(-1) ?? 0) + 60_000);
  return waits.toSorted((left, right) => left - right);
}

test('a flood in one zone leaves the p99 wait of an exclusive one within 10 %, in simulated time; without that it does not', () => {
  const p99 = (waits: readonly number[]) => present(waits[Math.floor(waits.length * 0.99)], 'there are waits');
  const calm = waitsOf({ flood: false, exclusive: true });
  const flooded = waitsOf({ flood: true, exclusive: true });
  expect(calm.length).toBeGreaterThan(700);
  expect(flooded).toHaveLength(calm.length);
  expect(p99(calm)).toBeGreaterThan(100);
  expect(p99(flooded)).toBeLessThanOrEqual(p99(calm) * 1.1);
  expect(p99(flooded)).toBeGreaterThanOrEqual(p99(calm) * 0.9);
  expect(p99(waitsOf({ flood: true, exclusive: false }))).toBeGreaterThan(p99(calm) * 1.1);
});
