import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { unitsIn, type Client } from '../e2e/clients/client.ts';
import { run } from '../fixtures/run.ts';
import { toolDir } from '../fixtures/tool-dir.ts';
import { makeRoot } from './images.ts';
import { inJavaRoot } from './java-root.ts';

/** Debian's Gradle (4.4.1) with its Java, as a root directory of 375 MB: unlike the wrapper's it asks no server for anything. */
const PACKAGES = [
  ...['base-files', 'base-passwd', 'bash', 'coreutils', 'dash', 'findutils', 'grep', 'mawk', 'sed'],
  ...['gradle', 'openjdk-17-jre-headless'],
];

const SETTINGS = `
buildCache {
  local { enabled = false }
  remote(HttpBuildCache) {
    url = System.getenv('CACHE_URL')
    push = true
    allowUntrustedServer = true // for want of a file of authorities, which a script of Debian's package would have made
    credentials { username = 'ci'; password = System.getenv('CACHE_TOKEN') }
  }
}
`;

/** The compiler's place is taken by a few words of Groovy: what Gradle asks of its cache is the same for each task. */
const BUILD = `
['a', 'b'].each { unit ->
  task "$unit" {
    inputs.file("$unit/src.txt").withPathSensitivity(PathSensitivity.RELATIVE)
    if (unit == 'b') inputs.files(tasks.a).withPathSensitivity(PathSensitivity.RELATIVE)
    outputs.file "$buildDir/\${unit}.txt"
    outputs.cacheIf { true }
    doLast { file("$buildDir/\${unit}.txt").text = inputs.files.collect { it.text }.join() }
  }
}
`;

const rootOfGradle = () => toolDir(`gradle-${process.arch}`, (into, work) => makeRoot(into, PACKAGES, { work }));

export const gradle: Client = {
  name: 'Gradle',
  unitsDir: '.',
  output: 'build/b.txt',
  install: async () => void (await rootOfGradle()),
  async prepare({ dir }) {
    await mkdir(join(dir, 'home'), { recursive: true });
    await writeFile(join(dir, 'settings.gradle'), SETTINGS);
    await writeFile(join(dir, 'build.gradle'), BUILD);
  },
  async run({ dir, http, token }) {
    const env = { HOME: join(dir, 'home'), CACHE_URL: `http://${http}/gradle/`, CACHE_TOKEN: token };
    const [program = '', ...args] = await inJavaRoot(await rootOfGradle(), dir, env);
    const own = ['gradle', '--build-cache', '--no-daemon', '--console=plain', 'a', 'b'];
    const { code, stdout, stderr } = await run(program, [...args, ...own], { deadlineMs: 120_000 });
    const found = unitsIn(stdout, /^:(?<unit>[ab]) FROM-CACHE$/gm);
    return { code, text: stdout + stderr, found, built: unitsIn(stdout, /^:(?<unit>[ab])$/gm) };
  },
};
