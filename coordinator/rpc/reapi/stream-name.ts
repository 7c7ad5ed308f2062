import { buildOf, parseBuildId, stepIdOf, type BuildId, type StepId } from '../../core/ids.ts';
import { instanceNameOf } from '../../shell/instance-name.ts';
import { STEP_NAME } from './step-of-action.ts';

/** The segment that tells names of live logs from names of blobs. */
const SEGMENT = 'logstreams';

/** The name under which ByteStream.Read gives the step's log, as far as it has come and on until its end. */
export function streamName({ project, scope }: { readonly project: string; readonly scope: string }, step: StepId): string {
  return `${instanceNameOf(project, scope)}/${SEGMENT}/${buildOf(step)}`;
}

/** The step whose log has that name, and the build that it is of; undefined where the name is none of a log. */
export function streamOfName(name: string): { readonly build: BuildId; readonly step: StepId } | undefined {
  const segments = name.split('/').filter((segment) => segment !== '');
  const build = segments.at(-2) === SEGMENT ? parseBuildId(segments.at(-1) ?? '') : undefined;
  return build === undefined ? undefined : { build, step: stepIdOf(build, STEP_NAME) };
}
