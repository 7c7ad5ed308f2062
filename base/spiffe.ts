import { parseZone, type Zone } from './zone.ts';

/** What an agent's certificate says of it. */
export type AgentName = { readonly zone: Zone; readonly cluster: string; readonly pool: string; readonly id: string };

const AGENT = new RegExp(
  '^spiffe://(?<domain>[a-z0-9._-]{1,255})/zone/(?<zone>[a-z]+)/cluster/(?<cluster>[A-Za-z0-9][A-Za-z0-9._-]{0,62})' +
    '/pool/(?<pool>[A-Za-z0-9][A-Za-z0-9._-]{0,62})/agent/(?<id>[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?)$',
);

/** The URI that an agent's certificate has as its one name. */
export function agentUri(domain: string, { zone, cluster, pool, id }: AgentName): string {
  return `spiffe://${domain}/zone/${zone}/cluster/${cluster}/pool/${pool}/agent/${id}`;
}

/** The agent that the URI names, or undefined. */
export function parseAgentUri(uri: string): AgentName | undefined {
  const { zone = '', cluster = '', pool = '', id = '' } = AGENT.exec(uri)?.groups ?? {};
  const known = parseZone(zone);
  return known === undefined ? undefined : { zone: known, cluster, pool, id };
}

/** What an autoscaler's certificate says of it: the cluster whose pools it scales. */
export type ScalerName = { readonly zone: Zone; readonly cluster: string; readonly name: string };

const SCALER = new RegExp(
  '^spiffe://(?<domain>[a-z0-9._-]{1,255})/zone/(?<zone>[a-z]+)/cluster/(?<cluster>[A-Za-z0-9][A-Za-z0-9._-]{0,62})' +
    '/scaler/(?<name>[a-z0-9](?:[a-z0-9.-]{0,61}[a-z0-9])?)$',
);

/** The URI that an autoscaler's certificate has as its one name. */
export function scalerUri(domain: string, { zone, cluster, name }: ScalerName): string {
  return `spiffe://${domain}/zone/${zone}/cluster/${cluster}/scaler/${name}`;
}

/** The autoscaler that the URI names, or undefined. */
export function parseScalerUri(uri: string): ScalerName | undefined {
  const { zone = '', cluster = '', name = '' } = SCALER.exec(uri)?.groups ?? {};
  const known = parseZone(zone);
  return known === undefined ? undefined : { zone: known, cluster, name };
}

/** Names of a certificate as Node writes them; whatever is written otherwise, in quotes for one, is not taken. */
const NAME = /^(DNS|IP Address|URI|email):([\x21\x23-\x2b\x2d-\x7e]+)$/;

/** Each name by its kind, as Node writes the kinds; undefined where one is not plain. */
export function namesAmong(subjectAltName: string | undefined): readonly (readonly [kind: string, name: string])[] | undefined {
  if (subjectAltName === undefined) return [];
  const names = subjectAltName.split(', ').map((name) => NAME.exec(name));
  return names.includes(null) ? undefined : names.map((name) => [name?.[1] ?? '', name?.[2] ?? ''] as const);
}

/** The one URI among the names of a certificate; undefined where there is none, several, or a name that is not plain. */
export function uriAmong(subjectAltName: string | undefined): string | undefined {
  const uris = (namesAmong(subjectAltName) ?? []).flatMap(([kind, name]) => (kind === 'URI' ? [name] : []));
  return uris.length === 1 ? uris[0] : undefined;
}
