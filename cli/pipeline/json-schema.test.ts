import { readFileSync } from 'node:fs';
import path from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, test } from 'vitest';
import { parse } from 'yaml';
import { schemaText } from '../commands/schema.ts';
import { pipelineSchema } from './json-schema.ts';
import { SOURCE_HINTS } from './load.ts';
import { Problems } from '../../base/document/problem.ts';
import { parseSource } from '../../base/document/source.ts';
import { pipelineType } from './table.ts';

const validate = new Ajv({ allErrors: true, allowUnionTypes: true }).compile(pipelineSchema());

/** Whether the reader takes the file as it is written, before expressions are worked out. */
function reads(text: string): boolean {
  const problems = new Problems();
  const root = parseSource(text, problems, SOURCE_HINTS);
  if (root !== undefined) pipelineType.read(root, '', { problems, deferred: true });
  return problems.errorCount === 0;
}

const step = (fields: string) => `version: 1\nsteps:\n  a: { run: x, ${fields} }\n`;

/** Fields of a step: right ones and wrong ones. */
const FIELDS: readonly (readonly [string, boolean])[] = [
  ['timeout: 30s', true],
  ['timeout: 1h30m', true],
  ['timeout: 0', false],
  ['timeout: "0"', true],
  ['timeout: 30', false],
  ['timeout: 30 s', false],
  ['timeout: "${{ params.t }}"', true],
  ['resources: { cpu: 2 }', true],
  ['resources: { cpu: 0.5, memory: 2Gi, slots: 2, custom: { gpu: 1 } }', true],
  ['resources: { cpu: 500m, memory: 1024 }', true],
  ['resources: { cpu: many }', false],
  ['resources: { memory: 2GB }', false],
  ['resources: { slots: 0 }', false],
  ['resources: { slots: 1.5 }', false],
  ['resources: { disk: 1 }', false],
  ['inputs: src/**', true],
  ['inputs: [src/**, "!src/x"]', true],
  ['inputs: { include: src, exclude: [a], ignored: true }', true],
  ['inputs: { exclude: [a] }', false],
  ['inputs: [../x]', false],
  ['inputs: [/etc]', false],
  ['inputs: [a/../b]', false],
  ['inputs: [a/..]', false],
  ['inputs: [a..b/c]', true],
  ['inputs: 5', false],
  ['outputs: [dist]', true],
  ['outputs: dist', true],
  ['outputs: 5', false],
  ['outputs: ["!dist"]', true],
  ['env: { A: 1, B: true, C: text }', true],
  ['env: { "A-B": x }', false],
  ['env: { A: [x] }', false],
  ['passEnv: [HOME, 1X]', false],
  ['needs: b', true],
  ['needs: [b, { step: c, outputs: false }]', true],
  ['needs: [{ outputs: false }]', false],
  ['needs: [{ step: c, output: false }]', false],
  ['labels: class=edge', true],
  ['labels: { class: edge, gpu: true }', true],
  ['labels: { class: "a b" }', false],
  ['labels: [edge]', false],
  ['retry: { exit: 2, agent-lost: 1, wait: 2s }', true],
  ['retry: { exit: -1 }', false],
  ['retry: { cancelled: 1 }', false],
  ['retry: 3', false],
  ['matrix: { shard: [1, 2], include: [{ shard: 3 }], exclude: [{ shard: 1 }] }', true],
  ['matrix: { shard: [] }', false],
  ['matrix: { shard: 2 }', false],
  ['matrix: { include: { shard: 1 } }', false],
  ['matrix: { "a b": [1] }', false],
  ['when: git.branch == 1', true],
  ['when: false', true],
  ['when: ""', false],
  ['when: 1', false],
  ['cache: true', true],
  ['cache: { salt: 1, keys: [a, 2] }', true],
  ['cache: never', false],
  ['cache: { key: a }', false],
  ['dependencyCache: { paths: a, key: k }', true],
  ['dependencyCache: { name: n, paths: [a, b/c], key: 7, fallback: [k, l], policy: pull }', true],
  ['dependencyCache: [{ paths: a, key: "${{ git.branch }}", fallback: k }, { paths: b, key: l }]', true],
  ['dependencyCache: { paths: a, key: k, policy: pull, only: [bin, "**/*.h"] }', true],
  ['dependencyCache: { paths: a, key: k, modes: full, mtimes: preserve }', true],
  ['dependencyCache: { paths: a, key: k, only: [] }', false],
  ['dependencyCache: { paths: a, key: k, mtimes: git }', false],
  ['dependencyCache: []', false],
  ['dependencyCache: { paths: a }', false],
  ['dependencyCache: { paths: /a, key: k }', false],
  ['dependencyCache: { paths: a, key: "" }', false],
  ['dependencyCache: { paths: a, key: k, policy: never }', false],
  ['dependencyCache: { paths: a, key: k, scope: main }', false],
  ['critical: false', true],
  ['critical: no', false],
  ['onLag: { after: 1m, use: skip }', true],
  ['onLag: { after: 1m }', false],
  ['onLag: { after: 1m, use: wait }', false],
  ['network: true', true],
  ['network: "${{ params.n }}"', true],
  ['network: "true"', false],
  ['sandbox: [isolatesFiles]', true],
  ['sandbox: [isolatesFile]', false],
  ['zone: trusted', true],
  ['zone: open', false],
  ['sideEffects: true', true],
  ['priority: -5', true],
  ['priority: 1001', false],
  ['runIf: always', true],
  ['runIf: never', false],
  ['workingDirectory: a/b', true],
  ['workingDirectory: ../b', false],
  ['with: { a: 1 }', true],
  ['with: { a: [1] }', false],
  ['template: t', true],
  ['about: a step', true],
  ['secrets: [a]', false],
  ['tiemout: 1s', false],
];

const FILES: readonly (readonly [string, boolean])[] = [
  ['version: 1\nsteps: {}\n', true],
  ['version: 2\nsteps: {}\n', false],
  ['version: "1"\nsteps: {}\n', false],
  ['steps: {}\n', false],
  ['version: 1\n', false],
  ['version: 1\nsteps: []\n', false],
  ['version: 1\nsteps: { "a b": { run: x } }\n', false],
  ['version: 1\nsteps: { a: x }\n', false],
  ['version: 1\nsteps: { a: { run: [a, 1] } }\n', true],
  ['version: 1\nsteps: { a: { run: [] } }\n', false],
  ['version: 1\nsteps: { a: { run: " " } }\n', false],
  ['version: 1\njobs: {}\nsteps: {}\n', false],
  ['version: 1\nname: ""\nsteps: {}\n', false],
  ['version: 1\ndefaults: { timeout: 1m }\nsteps: {}\n', true],
  ['version: 1\ndefaults: { run: x }\nsteps: {}\n', false],
  ['version: 1\ntemplates: { t: { params: { a: { type: string } }, step: { run: x } } }\nsteps: {}\n', true],
  ['version: 1\ntemplates: { t: { step: { run: x, matrix: { a: [1] } } } }\nsteps: {}\n', false],
  ['version: 1\ntemplates: { t: { params: {} } }\nsteps: {}\n', false],
  ['version: 1\nparams: { a: { type: integer, default: 3, about: x } }\nsteps: {}\n', true],
  ['version: 1\nparams: { a: { default: 3 } }\nsteps: {}\n', false],
  ['version: 1\nparams: { a: { type: int } }\nsteps: {}\n', false],
  ['version: 1\nfailFast: 1\nsteps: {}\n', false],
  ['version: 1\nlabels: { team: core }\nignore: ["*.tmp"]\ntimeout: 1h\nsteps: {}\n', true],
];

describe('the published schema and the reader agree', () => {
  const corpus = [...FIELDS.map(([fields, ok]) => [step(fields), ok] as const), ...FILES];
  test.for(corpus)('%s', ([text, ok]) => {
    expect({ reader: reads(text), schema: validate(parse(text)) }).toEqual({ reader: ok, schema: ok });
  });
});

test('every field of the table has a sentence about it', () => {
  const missing: string[] = [];
  const walk = (schema: unknown, at: string) => {
    if (typeof schema !== 'object' || schema === null) return;
    for (const [key, value] of Object.entries(schema)) {
      if (key === 'properties') {
        for (const [name, property] of Object.entries(value as Record<string, { description?: string }>)) {
          if (property.description === undefined || property.description === '') missing.push(`${at}.${name}`);
        }
      }
      walk(value, `${at}.${key}`);
    }
  };
  walk(pipelineSchema(), '');
  expect(missing).toEqual([]);
});

test('docs/switchyard.schema.json is what "switchyard schema" prints', () => {
  const file = path.join(import.meta.dirname, '../../docs/switchyard.schema.json');
  expect(readFileSync(file, 'utf8')).toBe(schemaText());
});
