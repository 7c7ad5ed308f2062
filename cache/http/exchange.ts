import type { IncomingHttpHeaders } from 'node:http';
import type { StoreView } from '../store-view.ts';
import type { ToolEntries } from './tool-entries.ts';
import type { Spool } from './spool.ts';

/** Bytes on their way in. */
export type Body = {
  /** What the client said that they are, at most what this server takes; undefined where it did not say. */
  readonly lengthBytes: number | undefined;
  /** What this server takes, encoded or not. */
  readonly bytesMax: number;
  /** Can be read once. @throws {Fault} TOO_LARGE; CANCELLED where the client went away */
  readonly chunks: AsyncIterable<Uint8Array>;
};

/** A request as a protocol sees it, from somebody who was let in. */
export type HttpRequest = {
  readonly method: string;
  /** What the protocol's pattern has found in the path. */
  readonly key: string;
  readonly headers: IncomingHttpHeaders;
  readonly view: StoreView;
  readonly body: Body;
  readonly signal: AbortSignal;
};

/** `bytes` undefined: a stream whose length is not known before its end. */
export type StreamedBody = { readonly chunks: AsyncIterable<Uint8Array>; readonly bytes: number | undefined };

export type HttpAnswer = {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body?: string | StreamedBody;
};

/** What protocols stand on. */
export type FrontParts = { readonly entries: ToolEntries; readonly spool: Spool };

export function text(status: number, body: string, headers: Readonly<Record<string, string>> = {}): HttpAnswer {
  return { status, headers: { 'content-type': 'text/plain; charset=utf-8', ...headers }, body };
}

export function json(status: number, value: unknown): HttpAnswer {
  return { status, headers: { 'content-type': 'application/json' }, body: JSON.stringify(value) };
}

/** The header's one value, or undefined. */
export function headerOf(headers: IncomingHttpHeaders, name: string): string | undefined {
  const value = headers[name];
  return typeof value === 'string' ? value : value?.[0];
}
