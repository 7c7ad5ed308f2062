import type { Digest } from '../../digest.ts';
import { fitsPack } from '../filter.ts';
import { compareText, ownerOfText, ownerText } from '../order.ts';
import { slicesOf } from '../slices.ts';
import { ADD_WITHIN_MS, USE_GRAIN_MS } from '../store-index.ts';
import type {
  BlobPlace,
  EpochState,
  Frame,
  Hold,
  NewPack,
  Owner,
  OwnerUsage,
  PackFilter,
  PackName,
  PackRow,
  PackState,
} from '../store-index.ts';
import { after as afterName } from './range.ts';
import type { Step } from './redis.ts';
import { decodeFrame, decodeRow, encodeFrame, encodeRow, fieldOf } from './row.ts';
import { listOf, textIn, type Answer, type Arg } from './script.ts';

/** Blobs that one call looks for, and adds: a millisecond or two of Redis. */
const SLICE = 256;
const ADD_SLICE = 128;
const PAGE = 250;
/** Buckets of about 64 rows that one call of `sweep` looks at. */
const SWEEP_BUCKETS = 40;

/** Blobs, packs, holds and the epoch of an index in Redis. */
export class RedisPacks {
  readonly #step: Step;
  #swept: readonly [string, string] = ['1', '0'];

  constructor(step: Step) {
    this.#step = step;
  }

  async now(signal: AbortSignal): Promise<number> {
    return Number(textIn(listOf(await this.#step(signal, 'state'))[2]));
  }

  async epoch(signal: AbortSignal): Promise<EpochState> {
    const [epoch, phase] = listOf(await this.#step(signal, 'state')).map(textIn);
    return { epoch: epoch ?? '', open: phase !== 'closed', complete: phase === 'complete' };
  }

  /** For operations that answer something or nothing. */
  async whether(signal: AbortSignal, operation: string, ...args: readonly Arg[]): Promise<boolean> {
    return listOf(await this.#step(signal, operation, ...args)).length > 0;
  }

  async add(pack: NewPack, hold: Hold | undefined, signal: AbortSignal): Promise<void> {
    const head = [ownerText(pack.owner), pack.name, pack.sizeBytes, pack.producer, ...holdArgs(hold), pack.begunAt, ADD_WITHIN_MS];
    // A slice that others overtake is refused where the pack is gone meanwhile; what was added stays findable, and is true.
    for (const rows of slicesOf(pack.rows, ADD_SLICE)) {
      const frames = new Map(rows.map(({ place: { frame } }) => [frame.offset, encodeFrame(frame)]));
      const fields = rows.flatMap((row) => [fieldOf(row.digest), encodeRow(row)]);
      await this.#step(signal, 'add', ...head, frames.size, ...[...frames].flat(), ...fields);
    }
  }

  async locate(
    project: string,
    scopes: readonly string[],
    digests: readonly Digest[],
    hold: Hold | undefined,
    signal: AbortSignal,
  ): Promise<ReadonlyMap<Digest, BlobPlace>> {
    const found = new Map<Digest, BlobPlace>();
    const owners = scopes.map((scope) => ownerText({ project, scope }));
    for (const slice of slicesOf(digests, SLICE)) {
      const args = [...holdArgs(hold), USE_GRAIN_MS, owners.length, ...owners, ...slice.map(fieldOf)];
      const [rows, packs] = listOf(await this.#step(signal, 'locate', ...args));
      const frameAt = framesIn(packs);
      for (const [at, row] of listOf(rows).entries()) {
        const digest = slice[at];
        const place = digest !== undefined && Buffer.isBuffer(row) ? decodeRow(row, digest, frameAt) : undefined;
        if (digest !== undefined && place !== undefined) found.set(digest, place);
      }
    }
    return found;
  }

  async forget(owner: Owner, rows: readonly { readonly digest: Digest; readonly pack: PackName }[], signal: AbortSignal): Promise<void> {
    for (const slice of slicesOf(rows, SLICE)) {
      await this.#step(signal, 'forget', ownerText(owner), ...slice.flatMap(({ digest, pack }) => [fieldOf(digest), pack]));
    }
  }

  async sweep(signal: AbortSignal): Promise<boolean> {
    const [owner, bucket] = listOf(await this.#step(signal, 'sweep', ...this.#swept, SWEEP_BUCKETS)).map(textIn);
    this.#swept = [owner ?? '1', bucket ?? '0'];
    return owner !== undefined;
  }

  async replay(names: readonly PackName[], epoch: string, signal: AbortSignal): Promise<void> {
    for (const slice of slicesOf(names, PAGE)) await this.#step(signal, 'replay', epoch, ...slice);
  }

  async usage(signal: AbortSignal): Promise<readonly OwnerUsage[]> {
    const found: OwnerUsage[] = [];
    for (let first = 1; ; first += PAGE) {
      const [rows, last] = listOf(await this.#step(signal, 'usage', first, PAGE));
      for (const row of listOf(rows)) {
        const [name = '', bytes, packs, entries] = listOf(row).map(textIn);
        const usage = { owner: ownerOfText(name), packBytes: Number(bytes), packCount: Number(packs), entryCount: Number(entries) };
        if (usage.packCount > 0 || usage.entryCount > 0) found.push(usage);
      }
      if (first + PAGE > Number(textIn(last))) break;
    }
    return found.toSorted((left, right) => compareText(ownerText(left.owner), ownerText(right.owner)));
  }

  async list(filter: PackFilter, after: PackName | undefined, limit: number, signal: AbortSignal): Promise<readonly PackRow[]> {
    const found: PackRow[] = [];
    for (let begin = afterName(after); ;) {
      const [rows, last] = listOf(await this.#step(signal, 'packs', begin, '+', PAGE));
      found.push(
        ...listOf(rows)
          .map(packRowOf)
          .filter((row) => fitsPack(row, filter)),
      );
      const lastName = textIn(last);
      if (lastName === '' || found.length >= limit) return found.slice(0, limit);
      begin = afterName(lastName);
    }
  }
}

function holdArgs(hold: Hold | undefined): readonly [string, string, number] {
  return hold === undefined ? ['', '', 0] : [hold.epoch, hold.id, hold.ttlMs];
}

/** Frames by number of their pack and offset, from what `locate` answers. */
function framesIn(packs: Answer | undefined): (pack: string, offset: number) => Frame | undefined {
  const frames = new Map<string, Frame>();
  for (const pack of listOf(packs)) {
    const [number, name, fields] = listOf(pack);
    const texts = listOf(fields).map(textIn);
    for (let at = 0; at < texts.length; at += 2) {
      const offset = Number(texts[at]);
      frames.set(`${textIn(number)}/${offset}`, decodeFrame(textIn(name) as PackName, offset, texts[at + 1] ?? '')); // written from one
    }
  }
  return (pack, offset) => frames.get(`${pack}/${offset}`);
}

function packRowOf(answer: Answer): PackRow {
  const [name = '', state, owner = '', bytes, producer = '', refs, created, used, held, recorded = ''] = listOf(answer).map(textIn);
  return {
    name: name as PackName, // written from one
    owner: owner === '' ? { project: '', scope: '' } : ownerOfText(owner),
    sizeBytes: Number(bytes),
    producer,
    state: stateOf(state),
    refCount: Number(refs),
    createdAt: Number(created),
    usedAt: Number(used),
    heldUntil: Number(held),
    condemnedAt: recorded === '' ? undefined : Number(recorded),
  };
}

function stateOf(text: string | undefined): PackState {
  return text === 'live' || text === 'condemned' ? text : 'deleted';
}
