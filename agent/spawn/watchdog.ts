import { spawn } from 'node:child_process';
import { Fault } from '../../base/fault.ts';
import { withoutLeaks } from './descriptors.ts';
import { LAUNCHER_SIGN } from './launcher.ts';
import { SYSTEM_PATH } from './tools.ts';

/** The file in an attempt's own directory that says that the watchdog ended it, because its deadline had passed. */
export const OVERDUE_FILE = 'overdue';
/** The file in it that is there for as long as what is below the attempt's launcher is the attempt's. */
export const LAUNCH_FILE = 'launch';

/**
 * Arguments: a marker (`NAME=value`, also the beginning of one, or empty), the directory of the attempts' own directories, the
 * agent's pid, then control group directories. Each line read replaces what was known: `launchers PID...`, or
 * `deadlines AT:ATTEMPT:LAUNCHER...` with AT in hundredths of a second since the host was started. `bye` ends it. When its
 * input ends without that, the agent has died: whatever is left of its steps is killed, in rounds, because processes may fork
 * meanwhile.
 *
 * The deadlines are kept by a child that sleeps until the first of them and is replaced with every new list, since a shell cannot
 * both wait for a line and for a time. What it kills, it first stops and then kills from the top down, so that no process
 * outlives one that it started and takes that one's end for a result, and none ends and leaves its number to another one
 * meanwhile. It looks again until the attempt is over, and is not to be disturbed between stopping and killing. Its sleep is
 * ended by KILL: a shell's child that was only just forked still has the shell's trap, and takes a TERM without dying of it.
 *
 * A number is only sent a signal while it is sure whose it is: numbers come round again within a minute on a busy host.
 */
const SCRIPT = `
marker=$1 scratch=$2 agent=$3; shift 3
launchers= timer=
read_clock() {
  read -r up rest </proc/uptime
  now=$((\${up%.*} * 100 + 1\${up#*.} - 100))
}
is_child() {
  stat=; IFS= read -r stat <"/proc/$1/stat"; stat=\${stat##*) }; stat=\${stat#* }
  [ "\${stat%% *}" = "$2" ]
}
stop_tree() {
  tree= level=
  is_child "$1" "$agent" && level=$1
  while [ -n "$level" ]; do
    patterns=; for pid in $level; do patterns="$patterns -e PPid:.$pid"; done
    level=
    for status in $(grep -lxs $patterns /proc/[0-9]*/status); do
      value=; while read -r key value rest; do [ "$key" = State: ] && break; done <"$status"
      pid=\${status#/proc/}
      case $value in ''|Z|X) ;; *) level="$level \${pid%/status}" ;; esac
    done
    for pid in $level; do kill -STOP "$pid"; done
    tree="$tree$level"
  done
}
end_attempt() {
  id=$1 launcher=$2; shift 2
  [ -e "$scratch/$id/${LAUNCH_FILE}" ] || return 1
  stop_tree "$launcher"
  if [ ! -e "$scratch/$id/${LAUNCH_FILE}" ]; then
    for pid in $tree; do kill -CONT "$pid"; done
    return 1
  fi
  [ -z "$tree" ] || echo >"$scratch/$id/${OVERDUE_FILE}"
  for pid in $tree; do kill -KILL "$pid"; done
  for directory in "$@"; do
    procs=$directory/$id/cgroup.procs
    [ -r "$procs" ] && while IFS= read -r pid; do
      [ "$pid" -gt 0 ] && kill -KILL "$pid"
    done <"$procs"
  done
  [ -z "$marker" ] || for environ in $(grep -alFs -e "$marker.$id" /proc/[0-9]*/environ); do
    pid=\${environ#/proc/}; kill -KILL "\${pid%/environ}"
  done
  return 0
}
keep_deadlines() {
  again=5 sleeper= told=
  trap 'told=1; [ -z "$sleeper" ] || kill -KILL "$sleeper"' TERM
  while [ -n "$deadlines" ]; do
    left= first=
    for entry in $deadlines; do
      [ -z "$told" ] || exit
      read_clock
      at=\${entry%%:*} attempt=\${entry#*:}
      if [ "$at" -le "$now" ]; then
        kill -0 $$ || exit
        end_attempt "\${attempt%:*}" "\${attempt#*:}" "$@" || continue
        at=$((now + again))
        [ "$again" -ge 100 ] || again=$((again * 2))
      fi
      left="$left $at:$attempt"
      if [ -z "$first" ] || [ "$at" -lt "$first" ]; then first=$at; fi
    done
    deadlines=$left
    read_clock
    if [ -n "$first" ] && [ "$first" -gt "$now" ]; then
      rest=$(((first - now) % 100)); [ "$rest" -gt 9 ] || rest=0$rest
      sleep $(((first - now) / 100)).$rest & sleeper=$!
      [ -z "$told" ] || kill -KILL "$sleeper"
      wait "$sleeper"
      sleeper=
    fi
  done
}
end_timer() {
  [ -n "$timer" ] || return 0
  if is_child "$timer" $$; then kill "$timer"; fi
  wait "$timer"; timer=
}
while IFS= read -r line; do
  case $line in
    bye) end_timer; exit 0 ;;
    launchers*) launchers=\${line#launchers} ;;
    deadlines*)
      end_timer
      deadlines=\${line#deadlines}
      [ -z "$deadlines" ] || { ( keep_deadlines "$@" ) & timer=$!; } ;;
  esac
done
end_timer
sweep() {
  for pid in $launchers; do if grep -aqsF -e '${LAUNCHER_SIGN}' "/proc/$pid/cmdline"; then kill -KILL "$pid"; fi; done
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

/** An attempt that is to be killed at a time, whatever this process does then. */
export type GuardedAttempt = {
  /** The attempt's own: the name of its directory and control groups, and the end of its marker. No spaces or colons. */
  readonly id: string;
  /** The pid of the launcher that its processes are below. */
  readonly launcher: number;
  /** In milliseconds since the host was started. */
  readonly killAtUptimeMs: number;
};

/**
 * Kills what is left of an agent's steps when the agent dies without a word, `kill -9` included; and single attempts at their
 * deadlines, also while the agent stands still.
 */
export interface Watchdog {
  /** The launchers that are alive now. */
  watch(launcherPids: readonly number[]): void;
  /** All attempts that have a deadline now. Those of the list before that are not in it have none any more. */
  guard(attempts: readonly GuardedAttempt[]): void;
  /** Settles when the watchdog is gone, whoever ended it. */
  readonly gone: Promise<void>;
  /** Ends it without killing anything. */
  dismiss(): void;
}

/** What to kill: everything in these control groups and everything started with a variable that begins with `marker`. */
export type WatchdogTargets = {
  readonly marker: string | undefined;
  readonly cgroups: readonly string[];
  /** Where attempts have directories of their own. */
  readonly scratch: string;
};

/** @throws {Fault} SANDBOX_UNAVAILABLE */
export async function startWatchdog(shell: string, targets: WatchdogTargets): Promise<Watchdog> {
  using streams = withoutLeaks(['pipe', 'ignore', 'ignore']);
  const own = [targets.marker ?? '', targets.scratch, String(process.pid)];
  const child = spawn(shell, ['-c', SCRIPT, 'sh', ...own, ...targets.cgroups], {
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
  const say = (words: readonly string[]) => void stdin.write(`${words.join(' ')}\n`);
  return {
    gone: gone.promise,
    watch: (pids) => say(['launchers', ...pids.map(String)]),
    guard: (attempts) => say(['deadlines', ...attempts.map(entryOf)]),
    dismiss: () => void stdin.end('bye\n'),
  };
}

function entryOf({ id, launcher, killAtUptimeMs }: GuardedAttempt): string {
  return `${Math.floor(killAtUptimeMs / 10)}:${id}:${launcher}`;
}
