import type { TestProject } from 'vitest/node';
import { dockerAt } from './docker.ts';
import { openEngine } from './engine.ts';
import { makeImages, type Images } from './images.ts';

declare module 'vitest' {
  interface ProvidedContext {
    /** The path of docker's command line, and the engine that it speaks to. */
    readonly docker: string;
    readonly dockerHost: string;
    readonly images: Images;
  }
}

/** Variables by which testcontainers finds the engine; its reaper's image cannot be had everywhere, and the tests clean up. */
const FOR_TESTCONTAINERS = ['DOCKER_HOST', 'TESTCONTAINERS_RYUK_DISABLED', 'SWITCHYARD_TEST_REDIS_IMAGE'] as const;

/** Makes an engine and images ready before the tests of containers, and takes away what it has made after them. */
export async function setup(project: TestProject): Promise<() => Promise<void>> {
  await using stack = new AsyncDisposableStack();
  const engine = stack.use(await openEngine(process.env));
  const images = await makeImages(engine);
  stack.defer(async () => {
    if (!engine.isPrivate) await dockerAt(engine.docker, engine.host).run('image', 'rm', '--force', ...Object.values(images));
  });
  project.provide('docker', engine.docker);
  project.provide('dockerHost', engine.host);
  project.provide('images', images);
  const before = FOR_TESTCONTAINERS.map((name) => [name, process.env[name]] as const);
  stack.defer(() => {
    for (const [name, value] of before) {
      if (value === undefined) delete process.env[name];
      else process.env[name] = value;
    }
  });
  process.env['DOCKER_HOST'] = engine.host;
  process.env['TESTCONTAINERS_RYUK_DISABLED'] = 'true';
  process.env['SWITCHYARD_TEST_REDIS_IMAGE'] ??= images.redis;
  const kept = stack.move();
  return () => kept.disposeAsync();
}
