import { Fault } from '../../base/fault.ts';

/** The kernel takes no single argument or variable longer than this, its final NUL included (MAX_ARG_STRLEN). */
export const WORD_BYTES_MAX = 128 * 1024 - 1;
/** What we let a command and its variables take together; the kernel's own limit is a quarter of the stack limit, 2 MiB at best. */
const COMMAND_BYTES_MAX = 1536 * 1024;
/** Each word costs a pointer beside its bytes and NUL. */
const WORD_OVERHEAD_BYTES = 9;

/** `word` as one word of a POSIX shell, whatever is in it. */
export function quote(word: string): string {
  return /^[A-Za-z0-9_/.:=+,@%-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`;
}

/** A command line of a POSIX shell that runs exactly `words`. */
export function quoteAll(words: readonly string[]): string {
  return words.map(quote).join(' ');
}

/**
 * Whether the kernel can start `command` with `env`.
 * @throws {Fault} BAD_REQUEST naming the argument or variable and what to do instead.
 */
export function checkCommand(command: readonly string[], env: Readonly<Record<string, string>>): void {
  if (command.length === 0 || command[0] === '') throw new Fault('BAD_REQUEST', 'The command is empty', { field: 'command' });
  let total = 0;
  const check = (word: string, field: string) => {
    if (word.includes('\0')) throw new Fault('BAD_REQUEST', `${field} has a NUL byte`, { field });
    const bytes = Buffer.byteLength(word);
    total += bytes + WORD_OVERHEAD_BYTES;
    if (bytes > WORD_BYTES_MAX) {
      const hint = 'Put long text into an input file and have the command read it.';
      throw new Fault('BAD_REQUEST', `${field} has ${bytes} bytes; the kernel takes at most ${WORD_BYTES_MAX}`, { field, hint });
    }
  };
  command.forEach((word, index) => check(word, `command[${index}]`));
  for (const [name, value] of Object.entries(env)) {
    if (name === '' || name.includes('=')) {
      throw new Fault('BAD_REQUEST', `env: ${JSON.stringify(name)} cannot name a variable`, { field: `env.${name}` });
    }
    check(`${name}=${value}`, `env.${name}`);
  }
  if (total > COMMAND_BYTES_MAX) {
    throw new Fault('BAD_REQUEST', `command and env take ${total} bytes together; at most ${COMMAND_BYTES_MAX} work`, { field: 'command' });
  }
}
