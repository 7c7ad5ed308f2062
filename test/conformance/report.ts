import type { Finding, Verdict } from './suite.ts';

const MARKS = { holds: 'holds', deviates: '**deviates**', exempt: 'left out' } as const satisfies Record<Verdict['kind'], string>;

/** What a run found, as a page in Markdown. The same findings make the same page. */
export function renderReport(subject: string, findings: readonly Finding[]): string {
  const count = (kind: Verdict['kind']) => findings.filter(({ verdict }) => verdict.kind === kind).length;
  const applied = findings.length - count('exempt');
  const lines = [
    '# Conformance to the Remote Execution API',
    '',
    `What the suite in \`test/conformance/\` finds of ${subject}: ${count('holds')} of the ${applied} checks that apply hold` +
      `${count('exempt') === 0 ? '' : `, ${count('exempt')} do not apply`}. The page is written by`,
    '`npm run conformance -- --embedded --report docs/conformance.md`; `npm test` runs the same and fails where the page is another. The suite',
    'is black-box: `npm run conformance -- grpc://host:port` runs it against any server, with `--instance`, `--token-file` and',
    '`--reader-token-file` where the server wants them. It leaves random blobs and results behind. A check named after a client is of what that',
    'client needs beyond the protocol. Checks that a server does not advertise, or for which a credential was not given, are left out.',
    'What it found of others is in [another page](conformance-peers.md).',
  ];
  for (const [area, own] of Map.groupBy(findings, (finding) => finding.area)) {
    lines.push('', `## ${area}`, '', '| check | what holds | found |', '|---|---|---|');
    for (const { check, verdict } of own) lines.push(`| \`${check.id}\` | ${check.claim} | ${MARKS[verdict.kind]}${detailOf(verdict)} |`);
  }
  return `${lines.join('\n')}\n`;
}

/** One line for a terminal. */
export function renderLine({ area, check, verdict }: Finding): string {
  const mark = { holds: 'ok  ', deviates: 'FAIL', exempt: '-   ' }[verdict.kind];
  return `${mark} ${area}: ${check.id}${detailOf(verdict)}\n`;
}

function detailOf(verdict: Verdict): string {
  switch (verdict.kind) {
    case 'holds':
      return '';
    case 'deviates':
      return `: ${verdict.how.replaceAll(/[|\n]/g, ' ')}`;
    case 'exempt':
      return `: ${verdict.why}`;
  }
}
