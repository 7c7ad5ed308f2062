import type { ReadBlob } from '../../cache/blob-store.ts';
import type { Digest } from '../../cache/digest.ts';
import { digestFromProto } from '../../proto/convert.ts';
import { loadProto } from '../../proto/load.ts';

/** An action as it was digested: all that its result may depend on. */
export type ActionParts = {
  readonly inputRoot: Digest;
  readonly salt: string;
  readonly command: readonly string[];
  readonly env: ReadonlyMap<string, string>;
  readonly workingDirectory: string;
  readonly outputs: readonly string[];
  /** Properties of the platform by name, several values of one name joined. */
  readonly platform: ReadonlyMap<string, string>;
};

/** Reads an Action and its Command. @throws {Fault} BLOB_UNKNOWN where the cache has them no more; BAD_REQUEST; as `read` */
export async function readAction(action: Digest, read: ReadBlob, signal: AbortSignal): Promise<ActionParts> {
  const { Action, Command } = loadProto().build.bazel.remote.execution.v2;
  const { commandDigest, inputRootDigest, salt, platform } = Action.deserialize(Buffer.from(await read(action, signal)));
  const bytes = await read(digestFromProto(commandDigest, 'command_digest'), signal);
  const command = Command.deserialize(Buffer.from(bytes));
  const properties = Map.groupBy(platform?.properties ?? [], ({ name }) => name);
  return {
    inputRoot: digestFromProto(inputRootDigest, 'input_root_digest'),
    salt: salt.toString(),
    command: command.arguments,
    env: new Map(command.environmentVariables.map(({ name, value }) => [name, value])),
    workingDirectory: command.workingDirectory,
    outputs: command.outputPaths,
    platform: new Map([...properties].map(([name, all]) => [name, all.map(({ value }) => value).join(', ')])),
  };
}
