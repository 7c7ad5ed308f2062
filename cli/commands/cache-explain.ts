import type { EntryKind } from '../../cache/store-index/store-index.ts';
import { explainStep } from '../cache/explain-step.ts';
import { keyExplanationLines, stepExplanationLines } from '../cache/explain-text.ts';
import { findKey, kindOfKey } from '../cache/find-key.ts';
import { openCache } from '../cache/open.ts';
import { entryJson } from '../cache/render.ts';
import { EXIT, UsageError } from '../exit.ts';
import { printJson, printLines, resolveBuild, type Session } from '../session.ts';

export type CacheExplainOptions = { readonly key?: string; readonly kind?: EntryKind; readonly scope?: string };

/** Says why a step had no result from the cache, or what is known of a key. */
export async function cacheExplainCommand(
  session: Session,
  build: string | undefined,
  step: string | undefined,
  options: CacheExplainOptions,
): Promise<number> {
  if (options.key !== undefined) {
    if (build !== undefined) throw new UsageError('Name a step of a build, or a key with --key, not both');
    return explainKey(session, options.key, options);
  }
  if (build === undefined || step === undefined)
    throw new UsageError('Say what is to be explained', 'Write BUILD STEP, such as "latest compile", or --key KEY.');
  if (options.kind !== undefined) throw new UsageError('--kind goes with --key');
  using cache = await openCache(session, options.scope);
  const id = await resolveBuild(cache.server, build, session.signal);
  const found = await explainStep(session, cache, id, step);
  if (session.json) {
    const { told, compared, kept, causes } = found;
    const { name, source, verdict, action, dependencyCaches } = found.step;
    printJson(session, {
      build: id,
      step: name,
      source,
      verdict,
      action,
      cache: told.cache,
      compared,
      kept: kept === undefined ? undefined : entryJson(kept),
      causes,
      dependencyCaches,
    });
  } else printLines(session, stepExplanationLines(found, cache.clock.now(), session.style));
  return EXIT.ok;
}

async function explainKey(session: Session, key: string, options: CacheExplainOptions): Promise<number> {
  using cache = await openCache(session, options.scope);
  const { admin, instanceName } = cache;
  const kind = options.kind ?? kindOfKey(key);
  const search = await findKey(admin, instanceName, key, kind, session.signal);
  const [first] = search.found;
  const complete = first !== undefined && (await admin.find(instanceName, kind, first.at.key, session.signal)) !== undefined;
  const none = { causes: [], nearest: undefined, differences: [] };
  const why = complete ? none : await admin.explain(instanceName, kind, first?.at.key ?? key, [], session.signal);
  if (session.json) {
    const [found, near] = [search.found.map(entryJson), search.near.map(entryJson)];
    printJson(session, { key, kind, complete, found, causes: why.causes, near });
  } else {
    printLines(session, keyExplanationLines(key, search, { complete, why }, cache.scope, cache.clock.now(), session.style));
  }
  return complete ? EXIT.ok : EXIT.failed;
}
