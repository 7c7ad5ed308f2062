import { describe, expect, test } from 'vitest';
import { Fault, type FaultCode } from '../../base/fault.ts';
import { failover } from './failover.ts';

const never = new AbortController().signal;

/** Servers by address; `answers` says what a call at each of them does. */
function stage(addresses: readonly string[], answers: Record<string, () => string>) {
  const asked: string[] = [];
  const closed: string[] = [];
  const moves: string[] = [];
  const servers = failover<string>({
    addresses,
    open: (address) => address,
    close: (address) => void closed.push(address),
    onMoved: (from, to, why) => void moves.push(`${from}>${to} ${why.code}`),
  });
  const call = async (client: string) => {
    asked.push(client);
    return answers[client]?.() ?? client;
  };
  const stream = async function* stream(client: string) {
    yield await call(client);
  };
  return { servers, call, stream, asked, closed, moves };
}

const away =
  (code: FaultCode = 'PEER_UNAVAILABLE') =>
  (): string => {
    throw new Fault(code, 'gone');
  };

describe('a call', () => {
  test.for(['PEER_UNAVAILABLE', 'DRAINING', 'LEDGER_UNAVAILABLE', 'NO_LEADER', 'DEADLINE'] as const)(
    'that meets %s is made elsewhere',
    async (code) => {
      const at = stage(['a', 'b'], { a: away(code) });
      for (let count = 0; count < 3; count += 1) expect(await at.servers.call(at.call, never)).toBe('b');
      expect(at.moves.length).toBeLessThanOrEqual(1);
    },
  );

  test('that was answered with a refusal is not', async () => {
    const at = stage(['a', 'b'], { a: away('FORBIDDEN'), b: away('FORBIDDEN') });
    await expect(at.servers.call(at.call, never)).rejects.toMatchObject({ code: 'FORBIDDEN' });
    expect(at.asked).toHaveLength(1);
  });

  test('with one server has one try, so that a wrong address shows at once', async () => {
    const at = stage(['a'], { a: away() });
    await expect(at.servers.call(at.call, never)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
    expect(at.asked).toEqual(['a']);
    expect(at.moves).toEqual([]);
  });

  test('outlasts the moment in which nobody leads', async () => {
    let left = 5;
    const busy = () => {
      left -= 1;
      if (left >= 0) throw new Fault('DRAINING', 'nobody leads');
      return 'done';
    };
    const at = stage(['a', 'b'], { a: busy, b: busy });
    expect(await at.servers.call(at.call, never)).toBe('done');
    expect(at.asked).toHaveLength(6);
  });

  test('ends with its signal', async () => {
    const stop = new AbortController();
    const at = stage(['a', 'b'], {
      a: away(),
      b: () => {
        stop.abort();
        throw new Fault('PEER_UNAVAILABLE', 'gone');
      },
    });
    await expect(at.servers.call(at.call, stop.signal)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
  });

  test('that may not be made twice is made once', async () => {
    const at = stage(['a', 'b'], { a: away(), b: away() });
    await expect(at.servers.once(at.call)).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
    expect(at.asked).toHaveLength(1);
  });
});

test('several calls that fail together change the server once', async () => {
  const at = stage(['a', 'b', 'c'], { a: away() });
  const answers = await Promise.all(Array.from({ length: 8 }, () => at.servers.call(at.call, never)));
  expect(new Set(answers).size).toBe(1);
  expect(at.moves.length).toBeLessThanOrEqual(1);
});

test('a stream that breaks is opened elsewhere the next time', async () => {
  let first: string | undefined;
  const once = (client: string) => () => {
    first ??= client;
    if (first === client) throw new Fault('PEER_UNAVAILABLE', 'gone');
    return client;
  };
  const at = stage(['a', 'b'], { a: once('a'), b: once('b') });
  const read = async () => {
    for await (const word of at.servers.stream(at.stream)) return word;
    return undefined;
  };
  await expect(read()).rejects.toMatchObject({ code: 'PEER_UNAVAILABLE' });
  expect(await read()).not.toBe(first);
  expect(at.closed).toEqual([first]);
});
