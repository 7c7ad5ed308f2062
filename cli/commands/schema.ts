import { EXIT } from '../exit.ts';
import { pipelineSchema } from '../pipeline/json-schema.ts';
import type { Session } from '../session.ts';

/** Prints the JSON Schema of pipeline files. */
export async function schemaCommand(session: Session): Promise<number> {
  session.terminal.stdout.write(schemaText());
  return EXIT.ok;
}

/** The schema as it is published in docs/switchyard.schema.json. */
export function schemaText(): string {
  return `${JSON.stringify(pipelineSchema(), undefined, 2)}\n`;
}
