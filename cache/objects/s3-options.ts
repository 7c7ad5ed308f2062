import { readFileSync } from 'node:fs';
import { Fault } from '../../base/fault.ts';
import type { OptionSpec } from '../../base/options.ts';
import type { Secret } from '../../base/secret.ts';
import { reasonOf } from '../../base/thrown.ts';
import { isObjectKey } from './object-key.ts';

/** The options of a bucket, for the table of the process that opens one. */
export const S3_OPTIONS = {
  s3Bucket: { type: 'string', help: 'Bucket of the store, with --store s3. It must be there; nothing else may write below its prefix.' },
  s3Prefix: {
    type: 'string',
    help: 'What the keys of all objects begin with, without a slash at its end. Yards that share a bucket have their own.',
  },
  s3Endpoint: {
    type: 'string',
    help: 'Address of an S3-compatible server, such as https://minio.example.org:9000. Without one, AWS in --s3-region.',
  },
  s3Region: {
    type: 'string',
    default: 'us-east-1',
    help: 'Region of the bucket; what other servers than AWS call theirs is often us-east-1.',
  },
  s3Addressing: {
    type: 'choice',
    choices: ['auto', 'path', 'virtual'],
    default: 'auto',
    help: 'Whether the bucket is in the path or in the name of the host; auto is path with --s3-endpoint, and virtual on AWS.',
  },
  s3AccessKeyId: {
    type: 'string',
    help:
      "Id of the access key. Without one, the usual places are looked at: AWS's variables, its files, the identity of the pod " +
      'or machine.',
  },
  s3SecretAccessKey: { type: 'secret', help: 'The secret of that access key.' },
  s3SessionToken: { type: 'secret', help: 'The session token, where the access key is a temporary one.' },
  s3CaFile: { type: 'path', help: 'PEM file of the authorities that may have signed the certificate of --s3-endpoint.' },
  s3Checksums: {
    type: 'choice',
    choices: ['when-required', 'when-supported'],
    default: 'when-required',
    help: 'Whether requests carry checksums that S3 does not insist on; servers other than AWS may not know the new ones.',
  },
  s3Connections: { type: 'int', default: '64', min: 1, max: 1_024, help: 'Most connections to the store that are open at once.' },
} as const satisfies Readonly<Record<string, OptionSpec>>;

/** What `S3_OPTIONS` give. */
export type S3OptionValues = {
  readonly s3Bucket: string | undefined;
  readonly s3Prefix: string | undefined;
  readonly s3Endpoint: string | undefined;
  readonly s3Region: string;
  readonly s3Addressing: 'auto' | 'path' | 'virtual';
  readonly s3AccessKeyId: string | undefined;
  readonly s3SecretAccessKey: Secret | undefined;
  readonly s3SessionToken: Secret | undefined;
  readonly s3CaFile: string | undefined;
  readonly s3Checksums: 'when-required' | 'when-supported';
  readonly s3Connections: number;
};

export type S3Credentials =
  | { readonly kind: 'static'; readonly accessKeyId: string; readonly secretAccessKey: Secret; readonly sessionToken: Secret | undefined }
  /** AWS's variables, files and services, in the SDK's order. */
  | { readonly kind: 'chain' };

/** Everything that opening a bucket needs to know; secrets are hidden from logs. */
export type S3Config = {
  readonly bucket: string;
  /** '' or with a slash at its end. */
  readonly prefix: string;
  /** Undefined for AWS. */
  readonly endpoint: string | undefined;
  readonly region: string;
  readonly pathStyle: boolean;
  readonly credentials: S3Credentials;
  /** PEM. */
  readonly ca: string | undefined;
  readonly checksums: 'WHEN_REQUIRED' | 'WHEN_SUPPORTED';
  readonly connectionsMax: number;
};

/** The configuration of a bucket; files are read now. @throws {Fault} CONFIG_INVALID listing every problem. */
export function s3ConfigFrom(values: S3OptionValues): S3Config {
  const problems: string[] = [];
  const { s3Bucket: bucket, s3Endpoint: endpoint, s3Prefix = '' } = values;
  if (bucket === undefined) problems.push('--s3-bucket is required with --store s3');
  else if (!/^[A-Za-z0-9][A-Za-z0-9._-]{1,61}[A-Za-z0-9]$/.test(bucket)) problems.push(`--s3-bucket: "${bucket}" is no name of a bucket`);
  else if (bucket.endsWith('--x-s3')) problems.push('--s3-bucket: directory buckets do not list in order; take a general-purpose one');
  if (s3Prefix !== '' && (!isObjectKey(s3Prefix) || s3Prefix.length > 256)) {
    problems.push('--s3-prefix must be up to 256 of A-Z a-z 0-9 . _ - in segments between slashes, without a slash at its end');
  }
  if (endpoint !== undefined && !isEndpoint(endpoint)) problems.push('--s3-endpoint must be a URL such as https://s3.example.org:9000');
  if (!/^[a-z0-9-]{1,64}$/.test(values.s3Region)) problems.push(`--s3-region: "${values.s3Region}" is no region`);
  const ca = values.s3CaFile === undefined ? undefined : readCa(values.s3CaFile, problems);
  if (ca !== undefined && endpoint?.startsWith('http:') === true)
    problems.push('--s3-ca-file is given, but --s3-endpoint begins with http:');
  const credentials = credentialsFrom(values, problems);
  if (problems.length > 0 || bucket === undefined) {
    const text = problems.map((problem) => `  ${problem}`).join('\n');
    throw new Fault('CONFIG_INVALID', `The store in S3 cannot be opened:\n${text}`, { hint: 'docs/cache.md has examples.' });
  }
  return {
    bucket,
    prefix: s3Prefix === '' ? '' : `${s3Prefix}/`,
    endpoint,
    region: values.s3Region,
    pathStyle: values.s3Addressing === 'auto' ? endpoint !== undefined : values.s3Addressing === 'path',
    credentials,
    ca,
    checksums: values.s3Checksums === 'when-required' ? 'WHEN_REQUIRED' : 'WHEN_SUPPORTED',
    connectionsMax: values.s3Connections,
  };
}

function credentialsFrom(values: S3OptionValues, problems: string[]): S3Credentials {
  const { s3AccessKeyId: accessKeyId, s3SecretAccessKey: secretAccessKey, s3SessionToken: sessionToken } = values;
  if (accessKeyId !== undefined && secretAccessKey !== undefined) return { kind: 'static', accessKeyId, secretAccessKey, sessionToken };
  if (accessKeyId !== undefined) problems.push('--s3-access-key-id is given without its secret: set SWITCHYARD_CACHE_S3_SECRET_ACCESS_KEY');
  else if (secretAccessKey !== undefined || sessionToken !== undefined) {
    problems.push('A secret for S3 is set without its id: give --s3-access-key-id');
  }
  return { kind: 'chain' };
}

function isEndpoint(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const { protocol, username, password, search, hash } = new URL(text);
  return (protocol === 'http:' || protocol === 'https:') && `${username}${password}${search}${hash}` === '';
}

function readCa(path: string, problems: string[]): string | undefined {
  try {
    const text = readFileSync(path, 'utf8');
    if (text.includes('-----BEGIN CERTIFICATE-----')) return text;
    problems.push(`--s3-ca-file: "${path}" holds no certificate in PEM`);
  } catch (error) {
    problems.push(`--s3-ca-file: ${reasonOf(error)}`);
  }
  return undefined;
}
