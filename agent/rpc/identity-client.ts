import { callUnary, dial, type Link } from '../../proto/dial.ts';
import type { EnrolRequest } from '../../proto/gen/switchyard/v1/EnrolRequest.ts';
import type { EnrolResponse__Output } from '../../proto/gen/switchyard/v1/EnrolResponse.ts';
import type { IdentityClient as Client } from '../../proto/gen/switchyard/v1/Identity.ts';
import { loadProto } from '../../proto/load.ts';
import { exchangeableTls } from '../../base/tls-source.ts';
import type { IdentityClient, IssuedCertificate } from '../identity/keeper.ts';

const DEADLINE_MS = 20_000;

/** Asks coordinators for certificates, each time on a connection of its own: it shows what the agent has at that moment. */
export function identityClient(serverName: string | undefined): IdentityClient {
  const once = async <T>(link: Link, ask: (client: Client) => Promise<T>): Promise<T> => {
    const client = dial(loadProto().switchyard.v1.Identity, link, 'control');
    try {
      return await ask(client);
    } finally {
      client.close();
    }
  };
  const nothing = exchangeableTls({ ca: undefined, own: undefined });
  return {
    async authorities(address, signal) {
      const link: Link = { address, token: undefined, tls: { source: nothing, unverified: true } };
      return (await once(link, (client) => callUnary(client, 'getAuthorities', {}, { signal, deadlineMs: DEADLINE_MS }))).authorities;
    },
    async enrol(address, source, { signingRequest, agentId, token, expiredCertificate }, signal) {
      const request: EnrolRequest = { signingRequest: Buffer.from(signingRequest), agentId, token, expiredCertificate };
      const link: Link = { address, token: undefined, tls: { source, serverName } };
      return issued(await once(link, (client) => callUnary(client, 'enrol', request, { signal, deadlineMs: DEADLINE_MS })));
    },
    async renew(address, source, signingRequest, signal) {
      const link: Link = { address, token: undefined, tls: { source, serverName } };
      const request = { signingRequest: Buffer.from(signingRequest) };
      return issued(await once(link, (client) => callUnary(client, 'renewCertificate', request, { signal, deadlineMs: DEADLINE_MS })));
    },
    async identify(address, source, signal) {
      const link: Link = { address, token: undefined, tls: { source, serverName } };
      await once(link, (client) => callUnary(client, 'identify', {}, { signal, deadlineMs: DEADLINE_MS }));
    },
  };
}

function issued({ certificate, authorities }: EnrolResponse__Output): IssuedCertificate {
  return { certificate, authorities };
}
