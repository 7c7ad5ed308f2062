import { execFileSync } from 'node:child_process';
import { readdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { parseAgentConfig } from '../agent/config.ts';
import { present } from '../base/assert.ts';
import { parseCoordinatorConfig } from '../coordinator/config.ts';
import { triggerFrom } from '../coordinator/rpc/scaler/trigger.ts';
import { needs } from '../test/fixtures/host.ts';
import { environmentOf, podsOf, render, type Rendered } from '../test/fixtures/rendered.ts';
import { ROOT } from '../test/fixtures/root.ts';
import { tempDir } from '../test/fixtures/temp-dir.ts';

const OVERLAYS = readdirSync(join(ROOT, 'deploy/overlays'));

/** Where kubernetes-types has the types of a group, by apiVersion. */
const TYPES: Readonly<Record<string, string>> = {
  v1: 'core/v1',
  'apps/v1': 'apps/v1',
  'policy/v1': 'policy/v1',
  'networking.k8s.io/v1': 'networking/v1',
  'scheduling.k8s.io/v1': 'scheduling/v1',
  'keda.sh/v1alpha1': join(ROOT, 'test/fixtures/keda-objects.ts'),
};

/** The compiler refuses what is not in the schema of Kubernetes: unknown fields, too, in literals. */
async function compile(objects: readonly Rendered[]): Promise<string> {
  await using dir = await tempDir();
  const imports = Object.entries(TYPES).map(([version, path], index) => [version, `T${index}`, path] as const);
  const lines = imports.map(
    ([, name, path]) => `import type * as ${name} from '${path.startsWith('/') ? path : `kubernetes-types/${path}`}';`,
  );
  for (const [index, object] of objects.entries()) {
    const name = present(imports.find(([version]) => version === object.apiVersion)?.[1], `types of ${object.apiVersion}`);
    lines.push(`export const o${index} = ${JSON.stringify(object, undefined, 2)} satisfies ${name}.${object.kind};`);
  }
  symlinkSync(join(ROOT, 'node_modules'), join(dir.path, 'node_modules'));
  writeFileSync(join(dir.path, 'package.json'), '{"type":"module"}');
  writeFileSync(join(dir.path, 'objects.ts'), lines.join('\n'));
  const options = [
    '--noEmit',
    '--strict',
    '--skipLibCheck',
    '--allowImportingTsExtensions',
    '--module',
    'esnext',
    '--moduleResolution',
    'bundler',
    '--types',
    '',
    'objects.ts',
  ];
  try {
    execFileSync(join(ROOT, 'node_modules/.bin/tsc'), options, { cwd: dir.path, encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
    return '';
  } catch (error) {
    return String((error as { readonly stdout?: unknown }).stdout ?? error); // of execFileSync
  }
}

/** The rules of the restricted profile that a pod breaks (Pod Security Standards), and ours. */
function faultsOf({ kind, metadata, spec }: Rendered): readonly string[] {
  const template = present(spec?.template, 'a pod');
  const pod = template.spec;
  const container = present(pod.containers[0], 'a container');
  const security = container.securityContext;
  const rules: readonly (readonly [string, boolean])[] = [
    ['runs as root', pod.securityContext.runAsNonRoot !== true],
    ['may gain privileges', security['allowPrivilegeEscalation'] !== false],
    ['keeps capabilities', JSON.stringify(security['capabilities']) !== '{"drop":["ALL"]}'],
    ['has a root file system that can be written', security['readOnlyRootFilesystem'] !== true],
    ['may make any system call', pod.securityContext.seccompProfile?.type !== 'RuntimeDefault'],
    ['sees all of /proc', security['procMount'] !== undefined],
    ['is in namespaces of the node', pod.hostNetwork === true || pod.hostPID === true],
    ['has a path of the node', pod.volumes.some((volume) => volume.hostPath !== undefined)],
  ];
  const exception = template.metadata.annotations?.['switchyard.dev/exception'];
  const broken = rules.flatMap(([rule, isBroken]) => (isBroken ? [rule] : []));
  const own: readonly (readonly [string, boolean])[] = [
    ['says no reason for its exception', broken.length > 0 && exception === undefined],
    ['makes namespaces without one of its own', broken.includes('may make any system call') && pod.hostUsers !== false],
    ['has a token of the cluster', pod.automountServiceAccountToken !== false],
    ['has an image without a fixed tag', !/:[0-9][^:]*$/.test(container.image)],
    ['asks for no processor or memory', container.resources.requests?.['cpu'] === undefined || !container.resources.requests['memory']],
    ['may take all memory', container.resources.limits?.['memory'] === undefined],
    ['is not probed', container.livenessProbe === undefined || container.readinessProbe === undefined],
    ['is not found by its own selector', !selects(spec?.selector?.matchLabels ?? {}, template.metadata.labels)],
  ];
  const faults = own.flatMap(([rule, isBroken]) => (isBroken ? [rule] : []));
  return [...faults, ...(exception === undefined ? broken : [])].map((rule) => `${kind} ${metadata.name} ${rule}`);
}

function selects(selector: Readonly<Record<string, string>>, labels: Readonly<Record<string, string>>): boolean {
  const wanted = Object.entries(selector);
  return wanted.length > 0 && wanted.every(([key, value]) => labels[key] === value);
}

/** Whether more than one pod may be there, so that they are not all to go at once. A DaemonSet's pods go with their nodes. */
function isSeveral({ kind, metadata, spec }: Rendered, objects: readonly Rendered[]): boolean {
  const isScaled = objects.some((other) => other.kind === 'ScaledObject' && other.spec?.scaleTargetRef?.name === metadata.name);
  return kind !== 'DaemonSet' && (isScaled || (spec?.replicas ?? 1) > 1);
}

/** What pods lack of the objects beside them. */
function gapsOf(objects: readonly Rendered[]): readonly string[] {
  const selecting = (kind: string, { spec }: Rendered, key: 'selector' | 'podSelector') => {
    const labels = present(spec?.template, 'a pod').metadata.labels;
    return objects.filter((other) => other.kind === kind && selects(other.spec?.[key]?.matchLabels ?? {}, labels));
  };
  const denying = objects.find(
    ({ kind, spec }) =>
      kind === 'NetworkPolicy' && Object.keys(spec?.podSelector ?? { none: {} }).length === 0 && spec?.policyTypes?.length === 2,
  );
  return podsOf(objects).flatMap((pods) => {
    const allowed = selecting('NetworkPolicy', pods, 'podSelector').flatMap(({ spec }) => spec?.policyTypes ?? []);
    const gaps: readonly (readonly [string, boolean])[] = [
      ['may talk to everybody', denying?.metadata.namespace !== pods.metadata.namespace],
      ['has no policy of its own for who may talk to it', !allowed.includes('Ingress')],
      ['has no policy of its own for whom it may talk to', !allowed.includes('Egress')],
      ['may be disrupted all at once', isSeveral(pods, objects) && selecting('PodDisruptionBudget', pods, 'selector').length === 0],
    ];
    return gaps.flatMap(([gap, isThere]) => (isThere ? [`${pods.metadata.name} ${gap}`] : []));
  });
}

describe.runIf(needs('kubectl'))('what Kustomize makes of deploy/', () => {
  for (const overlay of OVERLAYS) {
    test(`${overlay}: has no field that Kubernetes does not know, and none of a wrong type`, { timeout: 120_000 }, async () => {
      expect(await compile(render(`deploy/overlays/${overlay}`))).toBe('');
    });

    test(`${overlay}: pods are of the restricted profile or say why not, and each is probed, bounded and found`, () => {
      const objects = render(`deploy/overlays/${overlay}`);
      expect(podsOf(objects).flatMap(faultsOf)).toEqual([]);
      expect(objects.filter(({ kind }) => /Role/.test(kind))).toEqual([]);
    });

    test(`${overlay}: pods talk only to whom they must, and those that are several are not disrupted all at once`, () => {
      expect(gapsOf(render(`deploy/overlays/${overlay}`))).toEqual([]);
    });

    test(`${overlay}: the programs take the variables of their pods, and drain within the time that they are given`, () => {
      const objects = render(`deploy/overlays/${overlay}`);
      for (const { spec } of podsOf(objects)) {
        const pod = present(spec?.template, 'a pod').spec;
        const container = present(pod.containers[0], 'a container');
        const environment = environmentOf(container, objects);
        const [program, ...rest] = container.args;
        const config = program === 'agent' ? parseAgentConfig(environment, rest) : parseCoordinatorConfig(environment, rest);
        const drainMs = 'drainTimeoutMs' in config ? config.drainTimeoutMs : config.drain;
        expect(drainMs / 1_000).toBeLessThan(pod.terminationGracePeriodSeconds);
      }
    });
  }

  test('a field that Kubernetes does not know is found', { timeout: 120_000 }, async () => {
    const [pod, ...others] = podsOf(render('deploy/overlays/single'));
    const wrong = { ...present(pod, 'a pod'), sepc: {} };
    expect(await compile([wrong, ...others])).toContain('sepc');
  });

  test('the pods of each component that leaves the restricted profile are in a namespace that allows it', () => {
    const objects = render('deploy/overlays/production-zone');
    const namespace = objects.find(({ kind }) => kind === 'Namespace');
    expect(namespace?.metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe('privileged');
    const plain = render('deploy/overlays/redis-s3').find(({ kind }) => kind === 'Namespace');
    expect(plain?.metadata.labels?.['pod-security.kubernetes.io/enforce']).toBe('restricted');
  });

  test('what the autoscaler is told of an agent is what its pods are, and it shows a certificate', () => {
    const objects = render('deploy/overlays/autoscaled');
    const scaled = present(objects.find(({ kind }) => kind === 'ScaledObject')?.spec, 'a ScaledObject');
    const pods = present(
      podsOf(objects).find(({ metadata }) => metadata.name === scaled.scaleTargetRef?.name),
      'what it scales',
    );
    expect(pods.spec?.replicas, 'the number is KEDA’s to say').toBeUndefined();
    const trigger = present(scaled.triggers?.[0], 'its trigger');
    const { shape, pool, zone } = triggerFrom(trigger.metadata);
    expect({ pool, zone }).toEqual({ pool: 'central', zone: 'trusted' });
    const container = present(present(pods.spec?.template, 'a pod').spec.containers[0], 'a container');
    const { slots, cpuMillis, memoryBytes, labels, tlsCa } = parseAgentConfig(environmentOf(container, objects), []);
    expect(shape.capacity).toEqual({ slots, cpuMillis, memoryBytes, custom: {} });
    expect(shape.labels).toMatchObject(labels);
    expect(tlsCa).toBeDefined();
    const shown = objects.find(
      ({ kind, metadata }) => kind === 'TriggerAuthentication' && metadata.name === trigger.authenticationRef?.name,
    );
    expect(shown?.spec?.secretTargetRef?.map(({ parameter }) => parameter)).toEqual(['caCert', 'tlsClientCert', 'tlsClientKey']);
    const [host = ''] = (trigger.metadata['scalerAddress'] ?? '').split(':');
    const services = objects.filter(({ kind }) => kind === 'Service').map(({ metadata }) => `${metadata.name}.${metadata.namespace}.svc`);
    expect(services).toContain(host);
  });

  test('a pod without a budget or a policy is found', () => {
    const objects = render('deploy/overlays/redis-s3').filter(
      ({ kind, metadata }) => kind !== 'PodDisruptionBudget' && metadata.name !== 'agents-egress',
    );
    expect(gapsOf(objects)).toEqual([
      'central-agents has no policy of its own for whom it may talk to',
      'central-agents may be disrupted all at once',
      'coordinator may be disrupted all at once',
    ]);
  });

  test('nobody is disrupted in twos: coordinators on Redis have a budget', () => {
    const objects = render('deploy/overlays/redis-s3');
    const coordinator = present(
      podsOf(objects).find(({ metadata }) => metadata.name === 'coordinator'),
      'the coordinator',
    );
    const budgets = objects.filter(({ kind }) => kind === 'PodDisruptionBudget');
    const labels = present(coordinator.spec?.template, 'its pod').metadata.labels;
    expect(budgets.some(({ spec }) => selects(spec?.selector?.matchLabels ?? {}, labels))).toBe(true);
  });
});
