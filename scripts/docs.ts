import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { topologySchemaText } from '../cli/commands/topology.ts';
import { schemaText } from '../cli/commands/schema.ts';
import { renderRules } from './alerts.ts';
import { renderConfigPage } from './config-page.ts';
import { renderErrorsPage } from './errors-page.ts';
import { renderMetricsPage } from './metrics-page.ts';

// Writes the pages that are made from tables in the code; with --check, fails where the committed ones differ.
const ROOT = dirname(import.meta.dirname);
const PAGES = [
  { path: 'docs/errors.md', text: renderErrorsPage() },
  { path: 'docs/config.md', text: await renderConfigPage() },
  { path: 'docs/metrics.md', text: renderMetricsPage() },
  { path: 'deploy/alerts/switchyard.rules.yaml', text: renderRules() },
  { path: 'docs/switchyard.schema.json', text: schemaText() },
  { path: 'docs/switchyard.topology.schema.json', text: topologySchemaText() },
];

for (const { path, text } of PAGES) {
  const file = join(ROOT, path);
  if (existsSync(file) && readFileSync(file, 'utf8') === text) continue;
  if (process.argv.includes('--check')) {
    process.stderr.write(`${path} does not match the code; run "npm run docs"\n`);
    process.exitCode = 1;
  } else {
    writeFileSync(file, text);
    process.stdout.write(`wrote ${path}\n`);
  }
}
