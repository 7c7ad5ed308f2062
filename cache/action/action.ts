import type { SandboxTrait } from '../../base/sandbox-trait.ts';
import type { Zone } from '../../base/zone.ts';
import { digestOf, type Digest } from '../digest.ts';
import { WireWriter } from '../wire/wire.ts';
import { writeDigest } from '../wire/digest.ts';
import { encodeCommand, writePlatform, type CommandFields, type PlatformProperty } from './command.ts';

/** Everything about a step that its result can depend on. A StepSpec with its whole input tree's root is one. */
export type ActionFields = CommandFields & {
  readonly inputRoot: Digest;
  readonly passEnv: readonly string[];
  readonly selector: string;
  readonly zone: Zone;
  readonly sandbox: readonly SandboxTrait[];
  readonly network: boolean;
  readonly cacheable: boolean;
  readonly salt: string;
};

export type EncodedAction = {
  /** Digest of the Action: the cache key within a scope. */
  readonly action: Digest;
  readonly command: Digest;
  /** Both messages, for the store. */
  readonly blobs: ReadonlyMap<Digest, Uint8Array>;
};

/**
 * The REAPI Action of a step. Equal fields give equal digests. How long it may run, how often it is retried and what it
 * costs are no part of it: they do not change what a success leaves behind.
 */
export function actionOf(fields: ActionFields): EncodedAction {
  const platform = platformOf(fields);
  const commandBytes = encodeCommand(fields, platform);
  const command = digestOf(commandBytes);
  const writer = new WireWriter(512);
  writeDigest(writer, 1, command);
  writeDigest(writer, 2, fields.inputRoot);
  writer.varint(7, fields.cacheable ? 0 : 1);
  writer.bytes(9, Buffer.from(fields.salt));
  if (platform.length > 0) writer.message(10, (message) => writePlatform(message, platform));
  const actionBytes = writer.finish();
  const action = digestOf(actionBytes);
  return {
    action,
    command,
    blobs: new Map([
      [command, commandBytes],
      [action, actionBytes],
    ]),
  };
}

function platformOf(fields: ActionFields): readonly PlatformProperty[] {
  return [
    ...(fields.selector === '' ? [] : [['selector', fields.selector] as const]),
    ...(fields.network ? [['network', 'on'] as const] : []),
    ...(fields.zone === 'untrusted' ? [] : [['zone', fields.zone] as const]),
    ...fields.sandbox.map((trait) => ['sandbox', trait] as const),
    ...fields.passEnv.map((name) => ['pass-env', name] as const),
  ];
}
