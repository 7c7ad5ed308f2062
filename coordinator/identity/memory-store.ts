import type { IdentityLog, IdentityRow, IdentityStore, IdentityTable } from './store.ts';

/** For tests, and for ledgers in memory: it lasts as long as the process. */
export function openMemoryIdentityStore(): IdentityStore {
  const tables = new Map<IdentityTable, { readonly rows: Map<string, string>; version: number }>();
  const logs = new Map<IdentityLog, readonly IdentityRow[]>();
  let lastId = 0;
  const tableOf = (name: IdentityTable) => {
    const table = tables.get(name) ?? { rows: new Map<string, string>(), version: 0 };
    tables.set(name, table);
    return table;
  };
  const put = async (name: IdentityTable, key: string, body: string) => {
    const table = tableOf(name);
    table.rows.set(key, body);
    table.version += 1;
  };
  return {
    async add(name, key, body) {
      if (tableOf(name).rows.has(key)) return false;
      await put(name, key, body);
      return true;
    },
    put,
    async get(name, key) {
      return tableOf(name).rows.get(key);
    },
    async remove(name, key) {
      const table = tableOf(name);
      const was = table.rows.delete(key);
      if (was) table.version += 1;
      return was;
    },
    async all(name) {
      return new Map(tableOf(name).rows);
    },
    async version(name) {
      return tableOf(name).version;
    },
    async append(log, bodies, keep) {
      const fresh = bodies.map((body) => ({ id: String((lastId += 1)), body }));
      logs.set(log, [...(logs.get(log) ?? []), ...fresh].slice(-keep));
    },
    async newest(log, limit, before) {
      return (logs.get(log) ?? [])
        .filter(({ id }) => before === undefined || Number(id) < Number(before))
        .toReversed()
        .slice(0, limit);
    },
    async [Symbol.asyncDispose]() {},
  };
}
