import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseIssuers } from '../base/oidc/rules.ts';
import { parseZoneCas } from '../base/server-tls.ts';
import { parseCoordinatorConfig } from '../coordinator/config.ts';
import { needs } from '../test/fixtures/host.ts';
import { containerOf, environmentOf, mountedAt, podsOf, render, type AccountToken, type Rendered } from '../test/fixtures/rendered.ts';
import { ROOT } from '../test/fixtures/root.ts';

const OVERLAYS = readdirSync(join(ROOT, 'deploy/overlays'));

type Rule = readonly [rule: string, isBroken: boolean];
type Kind = 'secret' | 'configMap' | 'projected';

/** Seconds of a projected token: the shortest that Kubernetes gives, and what is short enough for one use. */
const TOKEN_SECONDS = { min: 600, max: 3_600 };

/** What pods do that lets somebody in, or read along, who has shown nothing. */
function gapsOf(objects: readonly Rendered[]): readonly string[] {
  return podsOf(objects).flatMap((pods) => {
    const environment = environmentOf(containerOf(pods), objects);
    const rules = [...rulesForAll(pods, environment), ...(isAgent(pods) ? rulesForAgents : rulesForCoordinators)(pods, environment)];
    return rules.flatMap(([rule, isBroken]) => (isBroken ? [`${pods.metadata.name} ${rule}`] : []));
  });
}

type Variables = Readonly<Record<string, string>>;

const isAgent = (pods: Rendered) => containerOf(pods).args[0] === 'agent';

/** Whether the file is in a volume of that kind. */
function isIn(kind: Kind, pods: Rendered, path: string | undefined): boolean {
  return path !== undefined && mountedAt(pods, path)?.volume[kind] !== undefined;
}

function rulesForAll(pods: Rendered, environment: Variables): readonly Rule[] {
  const container = containerOf(pods);
  const words = [...Object.keys(environment), ...container.args];
  const ofProgram = isAgent(pods) ? 'SWITCHYARD_AGENT_' : 'SWITCHYARD_COORDINATOR_';
  const probes = [container.livenessProbe, container.readinessProbe];
  const secrets = pods.spec?.template?.spec.volumes.flatMap(({ secret }) => secret ?? []) ?? [];
  return [
    ['talks in clear', words.some((word) => /insecure/i.test(word))],
    ['believes servers of any authority', !isIn('configMap', pods, environment[`${ofProgram}TLS_CA`])],
    ['is probed in clear', probes.some((probe) => probe?.httpGet.scheme !== 'HTTPS')],
    ['has secrets that every process in it can read', secrets.some(({ defaultMode }) => defaultMode !== 0o440)],
  ];
}

function rulesForAgents(pods: Rendered, environment: Variables): readonly Rule[] {
  const { SWITCHYARD_AGENT_ENROLL_FILE: file = '' } = environment;
  const mounted = mountedAt(pods, file);
  const sources = mounted?.volume.projected?.sources ?? [];
  const token = sources[0]?.serviceAccountToken;
  return [
    ['shares a credential', Object.keys(environment).some((name) => /_TOKEN(_FILE)?$|_TLS_KEY$|_ENROLL$/.test(name))],
    ['does not enrol by a token of its own', sources.length !== 1 || token?.path !== mounted?.below],
    ['has a token that is good for more than the yard', token !== undefined && !isForYard(token)],
  ];
}

function isForYard({ audience = '', expirationSeconds = 0 }: AccountToken): boolean {
  return /^switchyard(-|$)/.test(audience) && expirationSeconds >= TOKEN_SECONDS.min && expirationSeconds <= TOKEN_SECONDS.max;
}

function rulesForCoordinators(pods: Rendered, environment: Variables): readonly Rule[] {
  const { tlsKey, tokensFile, signingKeyFile, zoneCa, zoneCaKey, issuersFile, agentTokens, allowLocal } = parseCoordinatorConfig(
    environment,
    containerOf(pods).args.slice(1),
  );
  const zoneKeys = parseZoneCas(zoneCaKey);
  const withKey = new Set(zoneKeys.map(({ zone }) => zone));
  const secrets = [tlsKey, tokensFile, ...(signingKeyFile === undefined ? [] : [signingKeyFile]), ...zoneKeys.map(({ path }) => path)];
  return [
    ['takes agents by tokens that they share', agentTokens],
    ['believes who connects from its own host', allowLocal],
    ['has secrets that are not in a secret', secrets.some((path) => !isIn('secret', pods, path))],
    ['gives no certificates', zoneKeys.length === 0 || parseZoneCas(zoneCa).some(({ zone }) => !withKey.has(zone))],
    ['takes no tokens of pods', !isIn('configMap', pods, issuersFile)],
  ];
}

describe.runIf(needs('kubectl'))('who is let in by what Kustomize makes of deploy/', () => {
  for (const overlay of OVERLAYS) {
    test(`${overlay}: everything is over TLS, agents enrol by tokens of their own, and secrets are in secrets`, () => {
      expect(gapsOf(render(`deploy/overlays/${overlay}`))).toEqual([]);
    });
  }

  /** The pods of an overlay with one thing changed in the text of them. */
  const changed = (overlay: string, from: string, to: string): readonly Rendered[] => {
    const text = JSON.stringify(render(`deploy/overlays/${overlay}`));
    expect(text).toContain(from);
    return JSON.parse(text.replaceAll(from, to)) as readonly Rendered[]; // of the same form
  };
  test.for<readonly [overlay: string, from: string, to: string, gap: string]>([
    [
      'single',
      '"name":"SWITCHYARD_COORDINATOR_DRAIN","value":"20s"',
      '"name":"SWITCHYARD_COORDINATOR_INSECURE","value":"true"',
      'coordinator talks in clear',
    ],
    ['edge', '"name":"SWITCHYARD_AGENT_SLOTS"', '"name":"SWITCHYARD_AGENT_INSECURE"', 'edge-agents talks in clear'],
    ['edge', '"args":["agent"]', '"args":["agent","--insecure"]', 'edge-agents talks in clear'],
    [
      'redis-s3',
      '"SWITCHYARD_COORDINATOR_S3_REGION":"us-east-1"',
      '"SWITCHYARD_COORDINATOR_INSECURE":"true"',
      'coordinator talks in clear',
    ],
    ['edge', 'SWITCHYARD_AGENT_ENROLL_FILE', 'SWITCHYARD_AGENT_TOKEN_FILE', 'edge-agents shares a credential'],
    [
      'edge',
      '"audience":"switchyard-edge-1"',
      '"audience":"https://kubernetes.default.svc"',
      'edge-agents has a token that is good for more',
    ],
    ['edge', '"expirationSeconds":600', '"expirationSeconds":86400', 'edge-agents has a token that is good for more'],
    ['edge', 'SWITCHYARD_AGENT_TLS_CA', 'SWITCHYARD_AGENT_SANDBOX_PATH', 'edge-agents believes servers of any authority'],
    ['single', '"scheme":"HTTPS"', '"scheme":"HTTP"', 'is probed in clear'],
    [
      'single',
      '/etc/switchyard/zone-keys/trusted.key',
      '/etc/switchyard/ca/trusted.key',
      'coordinator has secrets that are not in a secret',
    ],
    ['zones', ',production=/etc/switchyard/zone-keys/production.key', '', 'coordinator gives no certificates'],
    ['single', '/etc/switchyard/issuers/issuers.json', '/etc/switchyard/tls/issuers.json', 'coordinator takes no tokens of pods'],
    [
      'single',
      '"name":"SWITCHYARD_COORDINATOR_DRAIN","value":"20s"',
      '"name":"SWITCHYARD_COORDINATOR_AGENT_TOKENS","value":"true"',
      'takes agents by tokens that they share',
    ],
  ])('%s with %s as %s: is found', ([overlay, from, to, gap]) => {
    expect(gapsOf(changed(overlay, from, to)).join('\n')).toContain(gap);
  });
});

test('the example of issuers is one that coordinators take, with an issuer and an audience for each cluster', () => {
  const { issuers } = parseIssuers(readFileSync(join(ROOT, 'deploy/identity/issuers.json'), 'utf8'));
  expect(issuers.map(({ name, audience }) => [name, audience])).toEqual([
    ['main', 'switchyard'],
    ['edge-1', 'switchyard-edge-1'],
  ]);
  expect(issuers.flatMap(({ agents }) => agents.map(({ zone, cluster, pool }) => `${zone} ${cluster}/${pool}`))).toEqual([
    'trusted main/central',
    'production main/production',
    'trusted edge-1/edge',
  ]);
});
