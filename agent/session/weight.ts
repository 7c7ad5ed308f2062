import type { AttemptReport } from '../../cache/action/result.ts';

/** Fixed fields of a report, and of each output: digests, sizes, framing. More than they take. */
const REPORT_BYTES = 1_024;
const OUTPUT_BYTES = 256;
/** UTF-8 takes three bytes for a UTF-16 unit at most. */
const UNIT_BYTES = 3;

/** An upper bound of a report's bytes on the wire, without encoding it. */
export function weightOf(report: AttemptReport): number {
  const outputs = report.result?.outputs ?? [];
  const text = outputs.reduce((sum, output) => sum + output.path.length + (output.kind === 'symlink' ? output.target.length : 0), 0);
  const message = report.kind === 'failed' ? report.message.length : 0;
  return REPORT_BYTES + outputs.length * OUTPUT_BYTES + (text + message) * UNIT_BYTES;
}
