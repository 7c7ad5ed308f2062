import { DeleteObjectCommand, ListObjectsV2Command } from '@aws-sdk/client-s3';
import { randomBytes } from 'node:crypto';
import { Fault, isFault } from '../../base/fault.ts';
import { S3Failure, configProblem, faultOf } from './s3-failure.ts';
import type { S3Http } from './s3-http.ts';
import type { S3Session } from './s3-session.ts';

const PROBE = Buffer.from('switchyard looks at what this bucket can do\n');
const CONDITION = { headers: { 'if-none-match': '*' } } as const;

/** What an endpoint turned out to be able to do. */
export type Probed = { readonly conditionalPut: boolean };

/**
 * Finds out by doing: lists, puts the same object twice, the second time on condition that there is none, reads a part of it, and
 * removes it. @throws {Fault} CONFIG_INVALID naming the option, where it cannot work as it is set up; STORE_UNAVAILABLE; CANCELLED
 */
export async function probe(session: S3Session, http: S3Http, signal: AbortSignal): Promise<Probed> {
  const { config } = session;
  const where = `${config.bucket} at ${session.origin}`;
  const step = async <T>(attempt: () => Promise<T>): Promise<T> => {
    try {
      return await session.attempt(`The bucket ${where}`, attempt, signal);
    } catch (error) {
      if (!(error instanceof S3Failure)) throw error;
      const problem = configProblem(error, config.region);
      if (problem === undefined) throw faultOf(error, `The bucket ${where} cannot be used`);
      throw invalid(where, problem, error);
    }
  };
  const key = `probe/${randomBytes(16).toString('hex')}`;
  const Key = session.nameOf(key);
  const list = new ListObjectsV2Command({ Bucket: config.bucket, Prefix: config.prefix, MaxKeys: 1 });
  await step(() => session.send((client, abortSignal) => client.send(list, { abortSignal }), signal));
  try {
    const conditionalPut = await probeCondition(key, session, http, step, signal);
    await probeRange(key, where, http, signal);
    return { conditionalPut };
  } finally {
    // Where it cannot be removed, neither can anything else.
    const remove = new DeleteObjectCommand({ Bucket: config.bucket, Key });
    await step(() => session.send((client, abortSignal) => client.send(remove, { abortSignal }), signal));
  }
}

type Step = <T>(attempt: () => Promise<T>) => Promise<T>;

/** Makes the object, and says whether a condition is obeyed. */
async function probeCondition(key: string, session: S3Session, http: S3Http, step: Step, signal: AbortSignal): Promise<boolean> {
  await step(() => http.put(key, PROBE, {}, signal));
  try {
    await session.attempt(`The bucket`, () => http.put(key, PROBE, CONDITION, signal), signal);
    return false; // it was there, and was made once more
  } catch (error) {
    if (!(error instanceof S3Failure)) throw error;
    if (error.code === 'PreconditionFailed') return true;
    // Known to some endpoints as something that they do not do.
    if (error.status === 501 || error.code === 'NotImplemented' || error.code === 'InvalidArgument') return false;
    throw faultOf(error, 'The bucket cannot be used');
  }
}

async function probeRange(key: string, where: string, http: S3Http, signal: AbortSignal): Promise<void> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of http.get(key, { offset: 11, length: 5 }, signal)) chunks.push(Uint8Array.from(chunk));
  } catch (error) {
    if (!isFault(error, 'STORE_UNAVAILABLE') || error.cause !== undefined) throw error;
    throw invalid(where, `--s3-endpoint: it does not give parts of objects as S3 does (${error.message})`, error);
  }
  if (Buffer.concat(chunks).equals(PROBE.subarray(11, 16))) return;
  throw invalid(where, '--s3-endpoint: a part of an object came back with other bytes than were put there', undefined);
}

function invalid(where: string, problem: string, cause: unknown): Fault {
  return new Fault('CONFIG_INVALID', `The bucket ${where} cannot be used:\n  ${problem}`, {
    hint: 'docs/cache.md says what an endpoint must offer.',
    cause,
  });
}
