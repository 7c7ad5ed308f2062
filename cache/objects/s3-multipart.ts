import {
  AbortMultipartUploadCommand,
  CompleteMultipartUploadCommand,
  CreateMultipartUploadCommand,
  HeadObjectCommand,
  ListMultipartUploadsCommand,
  type CompletedPart,
} from '@aws-sdk/client-s3';
import type { TimeMs } from '../../base/clock.ts';
import type { Logger } from '../../base/log.ts';
import { lengthOf, piecesOf } from './object-body.ts';
import type { ObjectBody } from './object-store.ts';
import { S3Failure, failureOfError, faultOf, isInDoubt } from './s3-failure.ts';
import type { S3Http } from './s3-http.ts';
import type { S3Session } from './s3-session.ts';

/** What S3 takes at most. */
const PARTS_MAX = 10_000;

type Upload = { readonly session: S3Session; readonly http: S3Http; readonly log: Logger; readonly key: string; readonly doing: string };

/**
 * Puts a large object in parts, some at once; nothing is visible before the last step, and where one fails the parts are thrown away.
 * Each part is held in memory until it is there, so that only it is sent again. With `ifAbsent` the last step asks for the condition,
 * which some endpoints ignore there: then the look before it is all there is.
 * @throws {Fault} as `ObjectStore.put`
 */
export async function putInParts(
  upload: Upload,
  body: ObjectBody,
  options: { readonly ifAbsent: boolean; readonly conditionalPut: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { session, key, doing, log } = upload;
  const place = { Bucket: session.config.bucket, Key: session.nameOf(key) };
  const create = () => session.send((client, abortSignal) => client.send(new CreateMultipartUploadCommand(place), { abortSignal }), signal);
  const { UploadId } = await session.run(doing, create, signal);
  if (UploadId === undefined) throw faultOf(new S3Failure({ code: 'no-upload-id', text: 'the endpoint gave the upload no id' }), doing);
  try {
    const parts = await putParts(upload, body, UploadId, signal);
    if (options.ifAbsent) await refuseWhereThere(upload, signal);
    await complete(upload, { parts, UploadId, ifNoneMatch: options.ifAbsent && options.conditionalPut }, signal);
  } catch (error) {
    // Under its own deadline: the caller's time may be over. What is left behind after all is for the bucket's rules to remove.
    const abort = () =>
      session.send(
        (client, abortSignal) => client.send(new AbortMultipartUploadCommand({ ...place, UploadId }), { abortSignal }),
        AbortSignal.timeout(session.tuning.answerMs),
      );
    await abort().catch((cause: unknown) => log.warn('s3-parts-left-behind', { key, uploadId: UploadId, error: cause }));
    throw error;
  }
}

async function putParts(upload: Upload, body: ObjectBody, uploadId: string, signal: AbortSignal): Promise<CompletedPart[]> {
  const { session, http, key, doing } = upload;
  const { partBytes, partsAtOnce } = session.tuning;
  const size = Math.max(partBytes, Math.ceil(lengthOf(body) / PARTS_MAX));
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const parts: CompletedPart[] = [];
  const running = new Set<Promise<void>>();
  let failure: { readonly error: unknown } | undefined;
  const start = (part: Uint8Array, PartNumber: number): void => {
    const query = [
      ['partNumber', String(PartNumber)],
      ['uploadId', uploadId],
    ] as const;
    const task: Promise<void> = session
      .run(doing, () => http.put(key, part, { query }, either), either)
      .then((ETag) => void (parts[PartNumber - 1] = { PartNumber, ETag }))
      .catch((error: unknown) => {
        failure ??= { error };
        stop.abort(error);
      })
      .finally(() => running.delete(task));
    running.add(task);
  };
  try {
    let count = 0;
    for await (const part of partsOf(key, body, size)) {
      while (running.size >= partsAtOnce) await Promise.race(running);
      if (failure !== undefined) break;
      count += 1;
      start(part, count);
    }
  } catch (error) {
    failure ??= { error };
    stop.abort(error);
  }
  await Promise.all(running);
  if (failure !== undefined) throw failure.error;
  return parts;
}

/** The body in parts of exactly `size`, the last one smaller; each has its own memory, or is the body's own. */
async function* partsOf(key: string, body: ObjectBody, size: number): AsyncGenerator<Uint8Array, void, undefined> {
  if (body instanceof Uint8Array) {
    yield* piecesOf(key, body, size);
    return;
  }
  let part = new Uint8Array(Math.min(size, body.lengthBytes));
  let filled = 0;
  let left = body.lengthBytes;
  for await (const piece of piecesOf(key, body, size)) {
    for (let at = 0; at < piece.byteLength;) {
      const taken = Math.min(piece.byteLength - at, part.byteLength - filled);
      part.set(piece.subarray(at, at + taken), filled);
      at += taken;
      filled += taken;
      if (filled < part.byteLength) continue;
      yield part;
      left -= filled;
      part = new Uint8Array(Math.min(size, left));
      filled = 0;
    }
  }
}

async function refuseWhereThere({ session, key, doing }: Upload, signal: AbortSignal): Promise<void> {
  if (!(await isThere({ session, key, doing }, signal))) return;
  throw faultOf(new S3Failure({ status: 412, code: 'PreconditionFailed', text: 'it is there already' }), doing);
}

async function isThere({ session, key, doing }: Pick<Upload, 'session' | 'key' | 'doing'>, signal: AbortSignal): Promise<boolean> {
  const place = { Bucket: session.config.bucket, Key: session.nameOf(key) };
  const head = () => session.send((client, abortSignal) => client.send(new HeadObjectCommand(place), { abortSignal }), signal);
  try {
    await session.attempt(doing, head, signal);
    return true;
  } catch (error) {
    if (error instanceof S3Failure && error.code === 'NoSuchKey') return false;
    throw error instanceof S3Failure ? faultOf(error, doing) : error;
  }
}

async function complete(
  upload: Upload,
  { parts, UploadId, ifNoneMatch }: { readonly parts: CompletedPart[]; readonly UploadId: string; readonly ifNoneMatch: boolean },
  signal: AbortSignal,
): Promise<void> {
  const { session, key, doing } = upload;
  const command = new CompleteMultipartUploadCommand({
    Bucket: session.config.bucket,
    Key: session.nameOf(key),
    UploadId,
    MultipartUpload: { Parts: parts },
    ...(ifNoneMatch ? { IfNoneMatch: '*' } : {}),
  });
  let inDoubt = false;
  const attempt = async () => {
    try {
      await session.send((client, abortSignal) => client.send(command, { abortSignal }), signal);
    } catch (error) {
      inDoubt ||= isInDoubt(failureOfError(error));
      throw error;
    }
  };
  try {
    await session.attempt(doing, attempt, signal);
  } catch (error) {
    if (!(error instanceof S3Failure)) throw error;
    // An earlier try may have done it, which ends the upload: then the object is there.
    if (error.code === 'NoSuchUpload' && inDoubt && (await isThere(upload, signal))) {
      if (!ifNoneMatch) return;
      throw faultOf(new S3Failure({ status: 412, code: 'PreconditionFailed', text: 'it is there, perhaps by this very call' }), doing);
    }
    throw faultOf(error, doing);
  }
}

/** What an endpoint says that has no such list, or does not let us have it. */
const NO_LIST: ReadonlySet<number | undefined> = new Set([403, 405, 501]);

/** As `ObjectStore.abortUploads`. */
export async function abortUploads(
  { session, log }: Pick<Upload, 'session' | 'log'>,
  prefix: string,
  before: TimeMs,
  signal: AbortSignal,
): Promise<number> {
  const Bucket = session.config.bucket;
  const doing = `Unfinished uploads below "${prefix}" cannot be listed`;
  const common = { Bucket, Prefix: session.nameOf(prefix), MaxUploads: session.tuning.pageSize };
  let count = 0;
  for (let from: { KeyMarker: string; UploadIdMarker: string } | undefined; ;) {
    const command = new ListMultipartUploadsCommand({ ...common, ...from });
    const ask = () => session.send((client, abortSignal) => client.send(command, { abortSignal }), signal);
    const page = await session.attempt(doing, ask, signal).catch((error: unknown) => {
      if (!(error instanceof S3Failure)) throw error;
      if (!NO_LIST.has(error.status)) throw faultOf(error, doing);
      log.info('s3-uploads-not-listed', {
        bucket: Bucket,
        error,
        hint: 'Have the bucket remove unfinished uploads after a day by a rule.',
      });
    });
    for (const { Key, UploadId, Initiated } of page?.Uploads ?? []) {
      if (Key === undefined || UploadId === undefined || (Initiated?.getTime() ?? Number.POSITIVE_INFINITY) >= before) continue;
      if (await abortUpload(session, { Bucket, Key, UploadId }, signal)) count += 1;
    }
    if (page?.IsTruncated !== true || page.NextKeyMarker === undefined) return count;
    from = { KeyMarker: page.NextKeyMarker, UploadIdMarker: page.NextUploadIdMarker ?? '' };
  }
}

/** Whether it was there. @throws {Fault} STORE_UNAVAILABLE, CANCELLED */
async function abortUpload(
  session: S3Session,
  place: { readonly Bucket: string; readonly Key: string; readonly UploadId: string },
  signal: AbortSignal,
): Promise<boolean> {
  const doing = `The unfinished upload of ${place.Key} cannot be thrown away`;
  const command = new AbortMultipartUploadCommand(place);
  const ask = () => session.send((client, abortSignal) => client.send(command, { abortSignal }), signal);
  try {
    await session.attempt(doing, ask, signal);
    return true;
  } catch (error) {
    if (!(error instanceof S3Failure)) throw error;
    if (error.code === 'NoSuchUpload') return false;
    throw faultOf(error, doing);
  }
}
