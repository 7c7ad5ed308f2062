import type { Clock } from '../../base/clock.ts';
import type { ExplanationView } from '../build-view.ts';
import type { BuildServer } from '../rpc/client.ts';
import type { BuildModel } from '../view/model.ts';

/** Time between two rounds of questions, and how long a step waits before somebody asks. */
const ROUND_MS = 2_000;
const WAITS_MS = 1_500;
/** Steps asked for in one round: the view has room for no more. */
const ASKED_MAX = 4;

/** Asks the server why steps wait that have waited for a while. `look` keeps it up to date. */
export function explainWaiting(
  server: BuildServer,
  build: string,
  clock: Clock,
  tell: (step: string, why: string) => void,
): Disposable & { look(model: BuildModel): void } {
  const stop = new AbortController();
  let current: BuildModel | undefined;
  let busy = false;
  const round = async () => {
    const now = clock.now();
    const waiting = (current?.steps ?? []).filter((step) => step.phase === 'queued' && now - (step.readyAtMs ?? now) > WAITS_MS);
    for (const step of waiting.slice(0, ASKED_MAX)) {
      const explanation = await server.explain(build, step.name, stop.signal);
      if (explanation.phase === 'queued') tell(step.name, whyWaiting(explanation));
    }
  };
  const timer = setInterval(() => {
    if (busy) return;
    busy = true;
    round()
      .catch(() => {}) // an extra of the view: following the build reports a server that is away
      .finally(() => (busy = false));
  }, ROUND_MS);
  timer.unref();
  return {
    look: (model) => (current = model),
    [Symbol.dispose]() {
      clearInterval(timer);
      stop.abort();
    },
  };
}

/** Why a step waits, and where nothing has what it asks for, which agent comes nearest to that. */
export function whyWaiting({ reasons, summary, nearest }: ExplanationView): string {
  const why = reasons[0] ?? summary;
  const [first] = nearest;
  return first === undefined || first.lacks.length === 0 || !why.startsWith('no agent has')
    ? why
    : `${why}; nearest is ${first.agent}, which lacks ${first.lacks.join('; ')}`;
}
