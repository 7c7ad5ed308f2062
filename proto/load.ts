import { readdirSync } from 'node:fs';
import { join, relative } from 'node:path';
import { loadPackageDefinition } from '@grpc/grpc-js';
import { loadSync, type Options, type PackageDefinition } from '@grpc/proto-loader';
import type { ProtoGrpcType as AgentPackage } from './gen/agent.ts';
import type { ProtoGrpcType as BuildPackage } from './gen/build.ts';
import type { ProtoGrpcType as ByteStreamPackage } from './gen/bytestream.ts';
import type { ProtoGrpcType as DataPackage } from './gen/data.ts';
import type { ProtoGrpcType as CachePackage } from './gen/cache.ts';
import type { ProtoGrpcType as ErrorDetailsPackage } from './gen/error_details.ts';
import type { ProtoGrpcType as ExternalScalerPackage } from './gen/externalscaler.ts';
import type { ProtoGrpcType as IdentityPackage } from './gen/identity.ts';
import type { ProtoGrpcType as OperationsPackage } from './gen/operations.ts';
import type { ProtoGrpcType as RemoteAssetPackage } from './gen/remote_asset.ts';
import type { ProtoGrpcType as RemoteExecutionPackage } from './gen/remote_execution.ts';
import type { ProtoGrpcType as StatusPackage } from './gen/status.ts';
import type { ProtoGrpcType as TypesPackage } from './gen/types.ts';

/** The directory that holds the .proto files; imports among them start here. */
export const PROTO_DIR = import.meta.dirname;

/** How messages look in JavaScript: camelCase fields, int64 as decimal strings, enums as names, bytes as Buffers. */
const LOADER_OPTIONS = { longs: String, enums: String, oneofs: true, defaults: true, includeDirs: [PROTO_DIR] } as const satisfies Options;

/** Every package of ours and of the Remote Execution API, with client constructors and message codecs. */
export type Proto = BuildPackage &
  AgentPackage &
  CachePackage &
  DataPackage &
  IdentityPackage &
  TypesPackage &
  RemoteExecutionPackage &
  RemoteAssetPackage &
  ByteStreamPackage &
  OperationsPackage &
  ExternalScalerPackage &
  StatusPackage &
  ErrorDetailsPackage;

/** Paths of all .proto files, relative to `PROTO_DIR`, sorted. */
export function protoFiles(): readonly string[] {
  const entries = readdirSync(PROTO_DIR, { recursive: true, withFileTypes: true });
  const files = entries.filter((entry) => entry.isFile() && entry.name.endsWith('.proto'));
  return files.map((entry) => relative(PROTO_DIR, join(entry.parentPath, entry.name))).toSorted();
}

let definition: PackageDefinition | undefined;
let proto: Proto | undefined;

/** The parsed .proto files; read once per process. */
export function loadDefinition(): PackageDefinition {
  definition ??= loadSync([...protoFiles()], LOADER_OPTIONS);
  return definition;
}

/** All packages; read once per process. */
export function loadProto(): Proto {
  proto ??= loadPackageDefinition(loadDefinition()) as unknown as Proto; // the shape that proto/gen describes, checked by proto:check
  return proto;
}
