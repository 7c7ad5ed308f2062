import type { DependencyCacheView } from '../build-view.ts';
import { formatBytes, printable, type Style } from './format.ts';

const SAVES = {
  pending: 'is being kept',
  kept: 'kept for later runs',
  same: 'was kept by another run meanwhile, with the same content',
  differs: 'not kept: another run kept other content under the same key',
  dropped: 'not kept',
} as const;

/** A dependency cache of a step: what it began with, why not with more, and what was kept of it. */
export function dependencyLines(cache: DependencyCacheView, style: Style): readonly string[] {
  const { name, found, save, why, warnings, restores } = cache;
  const lines = [
    ...(found === undefined ? ['begins empty: its policy is push'] : [foundText(cache)]),
    ...why.map((line) => `  ${printable(line)}`),
    ...restores.map(({ path, rung, bytesIn }) => `${printable(path)} by ${printable(rung)}, ${formatBytes(bytesIn)} fetched`),
    ...(save === undefined ? [] : [save === 'dropped' || save === 'differs' ? style.warn(SAVES[save]) : SAVES[save]]),
    ...warnings.map((warning) => style.warn(`warning: ${printable(warning)}`)),
  ];
  return lines.map((line, index) => `${(index === 0 ? 'cache' : '').padEnd(10)} ${index === 0 ? `${printable(name)}: ` : '  '}${line}`);
}

function foundText({ found, key, foundKey, foundScope }: DependencyCacheView): string {
  const shown = printable(key);
  switch (found) {
    case 'exact':
      return `found under ${shown} in ${foundScope ?? ''}`;
    case 'fallback':
      return `began with ${printable(foundKey ?? '')} of ${foundScope ?? ''}, since there was no ${shown}`;
    case 'unknown':
      return `began empty: ${shown} could not be looked up`;
    case 'nothing':
    case undefined:
      return `began empty: there was no ${shown}`;
  }
}
