import type { SqliteFile, SqliteRow } from '../../../base/sqlite-file.ts';
import { hashOf, sizeOf, type Digest } from '../../digest.ts';
import { holdLost, notCondemned, packCondemned, packForeign, packLate, wrongPhase } from '../refusals.ts';
import { ADD_WITHIN_MS, USE_GRAIN_MS } from '../store-index.ts';
import type { BlobPlace, Frame, Hold, NewPack, Owner, OwnerUsage, PackFilter, PackName, PackRow, PackState } from '../store-index.ts';

const STATES: readonly PackState[] = ['live', 'condemned', 'deleted'];
const LIVE = 0;
const CONDEMNED = 1;
const DELETED = 2;

/** Rows that one call of `sweep` looks at. */
const SWEEP_ROWS = 2_000;
/** Holds that have ended and are removed with a call that makes one. */
const ENDED_HOLDS = 4;

const LOCATE = `
  SELECT r.hash, r.size, r.offset, r.length, r.kind, r.pack AS id, p.name, p.used, f.offset AS f_offset, f.stored, f.raw, f.encoding
  FROM json_each(?) j
  CROSS JOIN rows r ON r.owner = ? AND r.hash = unhex(j.value)
  JOIN packs p ON p.id = r.pack AND p.state = 0
  JOIN frames f ON f.pack = r.pack AND f.n = r.frame`;

const ADD_ROWS = `
  INSERT INTO rows (owner, hash, size, pack, frame, offset, length, kind)
  SELECT ?, unhex(j.value ->> 0), j.value ->> 1, ?, j.value ->> 2, j.value ->> 3, j.value ->> 4, j.value ->> 5
  FROM json_each(?) j WHERE true
  ON CONFLICT (owner, hash) DO UPDATE SET size = excluded.size, pack = excluded.pack, frame = excluded.frame,
    offset = excluded.offset, length = excluded.length, kind = excluded.kind
  WHERE coalesce((SELECT state FROM packs WHERE id = rows.pack), 2) <> 0`;

/** Blobs, packs and holds of an index in a file. Every method is called within a transaction. */
export class SqlitePacks {
  readonly #file: SqliteFile;
  #swept: { readonly owner: number; readonly hash: Uint8Array } | undefined;

  constructor(file: SqliteFile) {
    this.#file = file;
  }

  add(pack: NewPack, hold: Hold | undefined, now: number): void {
    const name = Buffer.from(pack.name, 'hex');
    const owner = this.#ownerId(pack.owner);
    const known = this.#file.one('SELECT id, owner, state FROM packs WHERE name = ?', name);
    if (known !== undefined && known['state'] !== LIVE) throw packCondemned(pack.name);
    if (now - pack.begunAt > ADD_WITHIN_MS) throw packLate(pack.name);
    if (known !== undefined && known['owner'] !== owner) throw packForeign(pack.name);
    if (known === undefined) {
      const sql = 'INSERT INTO packs (name, owner, size, producer, state, created, used) VALUES (?, ?, ?, ?, 0, ?, ?)';
      this.#file.run(sql, name, owner, pack.sizeBytes, pack.producer, now, now);
    }
    const id = Number(this.#file.one('SELECT id FROM packs WHERE name = ?', name)?.['id']);
    const frames = new Map(
      this.#file.all('SELECT offset, n FROM frames WHERE pack = ?', id).map((row) => [Number(row['offset']), Number(row['n'])]),
    );
    const rows = pack.rows.map(({ digest, place }) => {
      const frame = frames.get(place.frame.offset) ?? this.#addFrame(id, frames, place.frame);
      return [hashOf(digest), sizeOf(digest), frame, place.offset, place.length, place.kind];
    });
    this.#file.run(ADD_ROWS, owner, id, JSON.stringify(rows));
    if (hold !== undefined) this.hold(hold, [id], now);
  }

  locate(project: string, scopes: readonly string[], digests: readonly Digest[], hold: Hold | undefined, now: number) {
    const places = new Map<Digest, BlobPlace>();
    const packs = new Map<number, number>();
    const wanted = new Map<string, Digest[]>();
    for (const digest of new Set(digests)) wanted.set(hashOf(digest), [...(wanted.get(hashOf(digest)) ?? []), digest]);
    for (const scope of scopes) {
      const owner = this.#file.one('SELECT id FROM owners WHERE project = ? AND scope = ?', project, scope)?.['id'];
      if (owner === undefined || wanted.size === 0) continue;
      for (const row of this.#file.all(LOCATE, JSON.stringify([...wanted.keys()]), Number(owner))) {
        const hash = hexOf(row['hash']);
        const digest = wanted.get(hash)?.find((candidate) => Number(row['size']) === sizeOf(candidate));
        if (digest === undefined) continue;
        wanted.delete(hash);
        places.set(digest, placeOf(row));
        packs.set(Number(row['id']), Number(row['used']));
      }
    }
    for (const [id, used] of packs) {
      if (now - used >= USE_GRAIN_MS) this.#file.run('UPDATE packs SET used = ? WHERE id = ?', now, id);
    }
    if (hold !== undefined) this.hold(hold, [...packs.keys()], now);
    // In the order of the question, as the other implementations answer.
    return new Map(
      digests.flatMap((digest) => {
        const place = places.get(digest);
        return place === undefined ? [] : [[digest, place] as const];
      }),
    );
  }

  forget(owner: Owner, rows: readonly { readonly digest: Digest; readonly pack: PackName }[]): void {
    const id = this.#ownerId(owner);
    const sql = 'DELETE FROM rows WHERE owner = ? AND hash = ? AND size = ? AND pack = (SELECT id FROM packs WHERE name = ?)';
    for (const { digest, pack } of rows) {
      this.#file.run(sql, id, Buffer.from(hashOf(digest), 'hex'), sizeOf(digest), Buffer.from(pack, 'hex'));
    }
  }

  /** Puts packs under a hold, begun anew where it had ended. */
  hold({ id, ttlMs }: Hold, packs: readonly number[], now: number): void {
    for (const ended of this.#file.all('SELECT id FROM holds WHERE until <= ? LIMIT ?', now, ENDED_HOLDS))
      this.release(String(ended['id']));
    const known = this.#file.one('SELECT until FROM holds WHERE id = ?', id)?.['until'];
    if (known !== undefined && Number(known) <= now) this.release(id);
    const until = Math.max(Number(known ?? 0), now + ttlMs);
    this.#file.run('INSERT INTO holds (id, until) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET until = excluded.until', id, until);
    for (const pack of packs) this.#file.run('INSERT INTO hold_packs (hold, pack) VALUES (?, ?) ON CONFLICT DO NOTHING', id, pack);
    this.#file.run('UPDATE packs SET held = max(held, ?) WHERE id IN (SELECT pack FROM hold_packs WHERE hold = ?)', until, id);
  }

  /** @throws {Fault} HOLD_LOST where it has ended */
  requireHold(hold: Hold, now: number): void {
    const until = this.#file.one('SELECT until FROM holds WHERE id = ?', hold.id)?.['until'];
    if (until === undefined || Number(until) <= now) throw holdLost(hold);
  }

  release(id: string): void {
    this.#file.run('DELETE FROM holds WHERE id = ?', id);
    this.#file.run('DELETE FROM hold_packs WHERE hold = ?', id);
  }

  /** Those that are not live. */
  gone(packs: readonly PackName[]): readonly PackName[] {
    const sql = 'SELECT 1 FROM packs WHERE name = ? AND state = 0';
    return packs.filter((pack) => this.#file.one(sql, Buffer.from(pack, 'hex')) === undefined);
  }

  refer(packs: readonly PackName[], by: 1 | -1): void {
    for (const pack of packs) this.#file.run('UPDATE packs SET refs = refs + ? WHERE name = ?', by, Buffer.from(pack, 'hex'));
  }

  list(filter: PackFilter, after: PackName | undefined, limit: number): readonly PackRow[] {
    const { state, owner, producer } = filter;
    const rows = this.#file.all(
      `SELECT p.*, o.project, o.scope FROM packs p LEFT JOIN owners o ON o.id = p.owner
       WHERE p.name > ? AND (? OR p.state = ?) AND (? OR (o.project = ? AND o.scope = ?)) AND (? OR p.producer = ?)
       ORDER BY p.name LIMIT ?`,
      Buffer.from(after ?? '', 'hex'),
      Number(state === undefined),
      STATES.indexOf(state ?? 'live'),
      Number(owner === undefined),
      owner?.project ?? '',
      owner?.scope ?? '',
      Number(producer === undefined),
      producer ?? '',
      limit,
    );
    return rows.map(packRowOf);
  }

  usage(): readonly OwnerUsage[] {
    const rows = this.#file.all(
      `SELECT project, scope, sum(bytes) AS bytes, sum(packs) AS packs, sum(entries) AS entries FROM (
         SELECT o.project, o.scope, p.size AS bytes, 1 AS packs, 0 AS entries FROM packs p JOIN owners o ON o.id = p.owner WHERE p.state = 0
         UNION ALL SELECT project, scope, 0, 0, 1 FROM entries WHERE pending = 0
       ) GROUP BY project, scope ORDER BY project, scope`,
    );
    return rows.map((row) => ({
      owner: { project: String(row['project']), scope: String(row['scope']) },
      packBytes: Number(row['bytes']),
      packCount: Number(row['packs']),
      entryCount: Number(row['entries']),
    }));
  }

  condemn(pack: PackName, unusedSince: number, now: number): boolean {
    const name = Buffer.from(pack, 'hex');
    const sql = `UPDATE packs SET state = 1
      WHERE name = ? AND state = 0 AND refs = 0 AND held <= ? AND created < ? AND used < ?`;
    if (this.#file.run(sql, name, now, unusedSince, unusedSince) > 0) return true;
    const state = this.#state(pack);
    if (state === undefined) this.#addUnknown(pack, now, null);
    return state === undefined || state === CONDEMNED;
  }

  recorded(pack: PackName, now: number): void {
    if (this.#state(pack) !== CONDEMNED) throw notCondemned(pack);
    this.#file.run('UPDATE packs SET condemned = ? WHERE name = ? AND condemned IS NULL', now, Buffer.from(pack, 'hex'));
  }

  mayDelete(pack: PackName, graceMs: number, now: number): boolean {
    const sql = 'SELECT 1 FROM packs WHERE name = ? AND state = 1 AND condemned IS NOT NULL AND ? - condemned >= ?';
    return this.#file.one(sql, Buffer.from(pack, 'hex'), now, graceMs) !== undefined;
  }

  deleted(pack: PackName): void {
    const state = this.#state(pack);
    if (state === undefined || state === LIVE) throw notCondemned(pack);
    this.#file.run('UPDATE packs SET state = 2 WHERE name = ?', Buffer.from(pack, 'hex'));
    this.#file.run('DELETE FROM frames WHERE pack = (SELECT id FROM packs WHERE name = ?)', Buffer.from(pack, 'hex'));
  }

  drop(pack: PackName): boolean {
    return this.#file.run('DELETE FROM packs WHERE name = ? AND state = 2', Buffer.from(pack, 'hex')) > 0;
  }

  replay(packs: readonly PackName[], now: number): void {
    for (const pack of packs) {
      const state = this.#state(pack);
      if (state === undefined) this.#addUnknown(pack, now, now);
      else if (state !== DELETED) {
        this.#file.run('UPDATE packs SET state = 1, held = 0, condemned = ? WHERE name = ?', now, Buffer.from(pack, 'hex'));
      }
    }
  }

  sweep(): boolean {
    const from = this.#swept;
    const rows = this.#file.all(
      `SELECT r.owner, r.hash, coalesce(p.state, 2) AS state FROM rows r LEFT JOIN packs p ON p.id = r.pack
       WHERE (r.owner, r.hash) > (?, ?) ORDER BY r.owner, r.hash LIMIT ?`,
      from?.owner ?? 0,
      from?.hash ?? Buffer.alloc(0),
      SWEEP_ROWS,
    );
    for (const row of rows) {
      if (row['state'] !== LIVE)
        this.#file.run('DELETE FROM rows WHERE owner = ? AND hash = ?', Number(row['owner']), bytesOf(row['hash']));
    }
    const last = rows.length < SWEEP_ROWS ? undefined : rows.at(-1);
    this.#swept = last === undefined ? undefined : { owner: Number(last['owner']), hash: bytesOf(last['hash']) };
    return this.#swept !== undefined;
  }

  #state(pack: PackName): number | undefined {
    const state = this.#file.one('SELECT state FROM packs WHERE name = ?', Buffer.from(pack, 'hex'))?.['state'];
    return state === undefined ? undefined : Number(state);
  }

  #addUnknown(pack: PackName, now: number, condemnedAt: number | null): void {
    const sql = "INSERT INTO packs (name, size, producer, state, created, used, condemned) VALUES (?, 0, '', 1, ?, ?, ?)";
    this.#file.run(sql, Buffer.from(pack, 'hex'), now, now, condemnedAt);
  }

  #addFrame(pack: number, known: Map<number, number>, { offset, storedBytes, rawBytes, encoding }: Frame): number {
    const n = known.size;
    known.set(offset, n);
    const sql = 'INSERT INTO frames (pack, n, offset, stored, raw, encoding) VALUES (?, ?, ?, ?, ?, ?)';
    this.#file.run(sql, pack, n, offset, storedBytes, rawBytes, encoding);
    return n;
  }

  #ownerId({ project, scope }: Owner): number {
    this.#file.run('INSERT INTO owners (project, scope) VALUES (?, ?) ON CONFLICT DO NOTHING', project, scope);
    return Number(this.#file.one('SELECT id FROM owners WHERE project = ? AND scope = ?', project, scope)?.['id']);
  }
}

/** @throws {Fault} WRONG_STATE unless the phase is complete */
export function requireComplete(phase: string | undefined): void {
  if (phase !== 'complete') throw wrongPhase('does not know yet what the store has');
}

function packRowOf(row: SqliteRow): PackRow {
  return {
    name: hexOf(row['name']) as PackName, // written from one
    owner: { project: textOf(row['project']), scope: textOf(row['scope']) },
    sizeBytes: Number(row['size']),
    producer: String(row['producer']),
    state: STATES[Number(row['state'])] ?? 'deleted',
    refCount: Number(row['refs']),
    createdAt: Number(row['created']),
    usedAt: Number(row['used']),
    heldUntil: Number(row['held']),
    condemnedAt: row['condemned'] === null ? undefined : Number(row['condemned']),
  };
}

function placeOf(row: SqliteRow): BlobPlace {
  const frame: Frame = {
    pack: hexOf(row['name']) as PackName, // written from one
    offset: Number(row['f_offset']),
    storedBytes: Number(row['stored']),
    rawBytes: Number(row['raw']),
    encoding: row['encoding'] === 'raw' ? 'raw' : 'zstd',
  };
  return { kind: row['kind'] === 'recipe' ? 'recipe' : 'bytes', frame, offset: Number(row['offset']), length: Number(row['length']) };
}

/** What a text column has; nothing where it has none. */
function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function bytesOf(value: unknown): Uint8Array {
  return value instanceof Uint8Array ? value : new Uint8Array(0);
}

function hexOf(value: unknown): string {
  return Buffer.from(bytesOf(value)).toString('hex');
}
