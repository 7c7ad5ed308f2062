import type { MethodDefinition } from '@grpc/grpc-js';

/** Messages are bytes as they are. */
export const bytes = (value: Buffer) => value;
const method = (path: string, responseStream: boolean): MethodDefinition<Buffer, Buffer> => ({
  path,
  requestStream: false,
  responseStream,
  requestSerialize: bytes,
  requestDeserialize: bytes,
  responseSerialize: bytes,
  responseDeserialize: bytes,
});

/** One unit: its name, a zero byte, padding. */
export const SUBMIT = method('/bench.Floor/Submit', false);
/** A stream of units to a worker; the first message is empty. */
export const WORK = method('/bench.Floor/Work', true);
