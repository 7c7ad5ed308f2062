import { spawn } from 'node:child_process';
import { Fault } from '../../base/fault.ts';
import { withoutLeaks } from './descriptors.ts';
import { SYSTEM_PATH } from './tools.ts';

/**
 * Arguments: a marker (`NAME=value`, also the beginning of one, or empty), then control group directories. Each line read replaces the list of
 * launcher pids; `bye` ends it. When its input ends without that, the agent has died: whatever is left of its steps is
 * killed, in rounds, because processes may fork meanwhile.
 */
const SCRIPT = `
marker=$1; shift
launchers=
while IFS= read -r line; do
  [ "$line" = bye ] && exit 0
  launchers=$line
done
sweep() {
  for pid in $launchers; do kill -KILL "$pid"; done
  for directory in "$@"; do
    if [ -e "$directory/cgroup.kill" ]; then echo 1 >"$directory/cgroup.kill"; fi
    for procs in "$directory/cgroup.procs" "$directory"/*/cgroup.procs; do
      [ -r "$procs" ] && while IFS= read -r pid; do [ "$pid" -gt 0 ] && kill -KILL "$pid"; done <"$procs"
    done
  done
  [ -z "$marker" ] || for environ in /proc/[0-9]*/environ; do
    if grep -aqF -e "$marker" "$environ"; then pid=\${environ#/proc/}; kill -KILL "\${pid%/environ}"; fi
  done
}
sweep "$@"; sleep 0.1; sweep "$@"; sleep 0.5; sweep "$@"
for directory in "$@"; do rmdir "$directory"/* "$directory"; done
`;

/** Kills what is left of an agent's steps when the agent dies without a word, `kill -9` included. */
export interface Watchdog {
  /** The launchers that are alive now. */
  watch(launcherPids: readonly number[]): void;
  /** Settles when the watchdog is gone, whoever ended it. */
  readonly gone: Promise<void>;
  /** Ends it without killing anything. */
  dismiss(): void;
}

/** What to kill: everything in these control groups and everything started with a variable that begins with `marker`. */
export type WatchdogTargets = { readonly marker: string | undefined; readonly cgroups: readonly string[] };

/** @throws {Fault} SANDBOX_UNAVAILABLE */
export async function startWatchdog(shell: string, targets: WatchdogTargets): Promise<Watchdog> {
  using streams = withoutLeaks(['pipe', 'ignore', 'ignore']);
  const child = spawn(shell, ['-c', SCRIPT, 'sh', targets.marker ?? '', ...targets.cgroups], {
    cwd: '/',
    detached: true,
    env: { PATH: SYSTEM_PATH },
    stdio: streams.stdio,
  });
  const gone = Promise.withResolvers<void>();
  child.once('exit', () => gone.resolve());
  await new Promise<void>((resolve, reject) => {
    child.once('spawn', resolve);
    child.once('error', (cause) => reject(new Fault('SANDBOX_UNAVAILABLE', `Cannot start ${shell}: ${cause.message}`, { cause })));
  });
  const { stdin } = child;
  if (stdin === null) throw new Fault('SANDBOX_UNAVAILABLE', 'The watchdog has no pipe');
  stdin.on('error', () => {}); // shows as `gone`
  return {
    gone: gone.promise,
    watch: (pids) => void stdin.write(`${pids.join(' ')}\n`),
    dismiss: () => void stdin.end('bye\n'),
  };
}
