import { execFile } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { Fault } from '../../base/fault.ts';
import { SYSTEM_PATH } from '../spawn/tools.ts';
import { quote, quoteAll } from '../spawn/words.ts';
import type { Bind, Overlays } from './sandbox.ts';

const run = promisify(execFile);

/** How overlays are mounted: by the agent's own right, or inside a user namespace. */
export type OverlayMode = 'root' | 'user-namespace';

export type OverlayTools = {
  /** The program. */
  readonly unshare: string;
  readonly mode: OverlayMode;
};

/**
 * Spares writing the whole file system of the upper side to its disk when the overlay goes, which is as soon as the step has ended: an
 * attempt that the host does not survive is lost anyway. Kernels before 5.10 know no such option.
 */
const VOLATILE = ',volatile';
/** The kernel takes one page of options. */
const OPTIONS_BYTES_MAX = 4_000;
/** Of the arguments of one program. */
const ASKED_BYTES = 256 * 1024;
const ANSWER_TIMEOUT_MS = 60_000;

/**
 * Words that run `command` where the input root is one overlay: the root itself is its upper side, so that everything which the step
 * writes is found on the host, and every bind is a lower side. One mount, whatever the number of binds; nothing in the root is a mount
 * point, so that the step may remove and rename what it likes.
 */
export function inOverlay(tools: OverlayTools, root: string, binds: readonly Bind[], command: readonly string[]): readonly string[] {
  // Beside the root: the kernel wants it on the same file system, and empty.
  const work = join(dirname(root), `.${basename(root)}.overlay`);
  mkdirSync(work, { recursive: true });
  const mount = mountScript(tools, lowersOf(binds), [`upperdir=${root}`, `workdir=${work}`], root);
  return inNamespace(tools, `${mount} && cd / && exec "$@"`, command);
}

/** What the kernel says of the overlay of a step that has ended: it is mounted once more, read-only, in a namespace of its own. */
export function openOverlays(tools: OverlayTools): Overlays {
  return {
    async present(root, binds, paths, signal) {
      const found: boolean[] = [];
      for (const some of batches(paths)) {
        const view = join(dirname(root), `.${basename(root)}.view`);
        mkdirSync(view, { recursive: true });
        const mount = mountScript(tools, [root, ...lowersOf(binds)], [], view);
        const script = `${mount} && cd ${quote(view)} && for at; do if [ -e "$at" ] || [ -L "$at" ]; then printf 1; else printf 0; fi; done`;
        const [program = '', ...words] = inNamespace(
          tools,
          script,
          some.map((path) => `./${path}`),
        );
        try {
          const { stdout } = await run(program, words, { env: { PATH: SYSTEM_PATH }, signal, timeout: ANSWER_TIMEOUT_MS });
          if (stdout.length !== some.length) throw new Error(`${stdout.length} answers to ${some.length} questions`);
          found.push(...Array.from(stdout, (one) => one === '1'));
        } catch (cause) {
          signal.throwIfAborted();
          throw new Fault(
            'SANDBOX_UNAVAILABLE',
            'What the step left behind cannot be told from what it removed: its overlay cannot be mounted',
            {
              cause,
            },
          );
        }
      }
      return found;
    },
  };
}

function batches(paths: readonly string[]): string[][] {
  const all: string[][] = [];
  let room = 0;
  for (const path of paths) {
    room -= Buffer.byteLength(path) + 16;
    if (room < 0) {
      all.push([]);
      room = ASKED_BYTES;
    }
    all.at(-1)?.push(path);
  }
  return all;
}

function inNamespace(tools: OverlayTools, script: string, words: readonly string[]): readonly string[] {
  const user = tools.mode === 'user-namespace' ? ['--user', '--map-root-user'] : [];
  return [tools.unshare, ...user, '--mount', '--', '/bin/sh', '-c', script, 'sh', ...words];
}

/** The directories that are mounted: each bind's without the part where it appears. */
function lowersOf(binds: readonly Bind[]): readonly string[] {
  return binds.map(({ from, to }) => {
    if (!from.endsWith(`/${to}`)) throw new Fault('SANDBOX_UNAVAILABLE', `Cannot bind ${from} at ${to}: its path must end with that`);
    return from.slice(0, -to.length - 1);
  });
}

/** Shell that mounts an overlay of `layers`, the uppermost first, at `target`. Layers of one directory are named from there: options are short. */
function mountScript(tools: OverlayTools, layers: readonly string[], more: readonly string[], target: string): string {
  const home = layers.length > 1 ? commonDirectory(layers.slice(1)) : '';
  const lowers = layers.map((layer) => (home !== '' && layer.startsWith(`${home}/`) ? layer.slice(home.length + 1) : layer));
  // What the mode decides, and features that would keep things elsewhere than in the upper directory.
  const features = tools.mode === 'user-namespace' ? ['userxattr'] : ['index=off', 'redirect_dir=off', 'metacopy=off'];
  const options = [`lowerdir=${lowers.join(':')}`, ...more, ...features];
  for (const path of [...layers, ...more]) {
    // These separate the options of a mount, and no way of quoting them works everywhere.
    if (/[,:\\]/.test(path)) throw new Fault('SANDBOX_UNAVAILABLE', `Cannot bind ${path}: "," ":" and "\\" do not work in its path`);
  }
  const text = options.join(',');
  if (text.length + VOLATILE.length > OPTIONS_BYTES_MAX) {
    throw new Fault('SANDBOX_UNAVAILABLE', `Cannot bind ${layers.length} directories at once: their paths are too long together`);
  }
  const enter = home === '' ? '' : `cd ${quote(home)} && `;
  const mount = (chosen: string) => quoteAll(['mount', '-t', 'overlay', '-o', chosen, 'overlay', target]);
  if (more.length === 0) return `${enter}${mount(text)}`;
  return `${enter}{ ${mount(`${text}${VOLATILE}`)} 2>/dev/null || ${mount(text)}; }`;
}

function commonDirectory(paths: readonly string[]): string {
  let common = dirname(paths[0] ?? '');
  for (const path of paths) while (common !== '/' && !path.startsWith(`${common}/`)) common = dirname(common);
  return common === '/' ? '' : common;
}
