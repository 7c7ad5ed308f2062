import { closeSync, openSync, readdirSync, readFileSync } from 'node:fs';

const O_CLOEXEC = 0o2000000;

/**
 * Streams for a child that shall have no other descriptor of ours. Node opens its own so that children do not get
 * them, but what this process itself inherited goes on to every child: such numbers are taken by the null device instead.
 */
export function withoutLeaks(streams: readonly ('pipe' | 'ignore')[]): { readonly stdio: ('pipe' | 'ignore' | number)[] } & Disposable {
  const leaks = inheritedDescriptors();
  const nothing = leaks.length === 0 ? undefined : openSync('/dev/null', 'r+');
  const stdio: ('pipe' | 'ignore' | number)[] = [...streams];
  for (let fd = streams.length; fd <= Math.max(-1, ...leaks); fd += 1) {
    stdio.push(nothing !== undefined && leaks.includes(fd) ? nothing : 'ignore');
  }
  return {
    stdio,
    [Symbol.dispose]() {
      if (nothing !== undefined) closeSync(nothing);
    },
  };
}

/** Open descriptors beyond the standard ones that a child would get. */
function inheritedDescriptors(): readonly number[] {
  return readdirSync('/proc/self/fd')
    .map(Number)
    .filter((fd) => fd > 2 && !isClosedOnExec(fd));
}

function isClosedOnExec(fd: number): boolean {
  try {
    const flags = /^flags:\s*([0-7]+)$/m.exec(readFileSync(`/proc/self/fdinfo/${fd}`, 'latin1'))?.[1];
    return flags === undefined || (Number.parseInt(flags, 8) & O_CLOEXEC) !== 0;
  } catch {
    return true; // closed meanwhile, such as the one that listed the directory
  }
}
