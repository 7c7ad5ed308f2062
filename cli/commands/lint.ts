import { EXIT } from '../exit.ts';
import { ignoredIn } from '../inputs/work-tree.ts';
import { lintPipeline } from '../pipeline/lint.ts';
import { formatProblem } from '../../base/document/problem.ts';
import { openPipeline } from '../run/pipeline-file.ts';
import { printJson, printLines, type Session } from '../session.ts';
import { count } from '../view/format.ts';

export type LintOptions = { readonly file?: string; readonly param: readonly (readonly [string, string])[]; readonly strict?: boolean };

/** Checks the pipeline file: errors as `run` would report them, and warnings of bad habits. */
export async function lintCommand(session: Session, options: LintOptions): Promise<number> {
  const pipeline = openPipeline(options.file, options.param, session.terminal);
  const problems = [...pipeline.problems, ...lintPipeline(pipeline, ignoredIn(pipeline.root))];
  const errors = problems.filter((problem) => problem.severity === 'error').length;
  const warnings = problems.length - errors;
  if (session.json) printJson(session, { file: pipeline.file, problems });
  else {
    printLines(
      session,
      problems.map((problem) => formatProblem(pipeline.file, problem)),
    );
    const steps = pipeline.plan === undefined ? '' : `, ${count(pipeline.plan.steps.length, 'step')}`;
    printLines(session, [`${pipeline.file}: ${count(errors, 'error')}, ${count(warnings, 'warning')}${steps}`]);
  }
  if (errors > 0) return EXIT.usage;
  return warnings > 0 && options.strict === true ? EXIT.failed : EXIT.ok;
}
