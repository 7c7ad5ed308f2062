import type { JsonSchema } from '../../base/document/field-type.ts';
import { pipelineType } from './table.ts';

/** The JSON Schema of pipeline files (draft 2020-12 keywords that draft-07 editors know too). */
export function pipelineSchema(): JsonSchema {
  return {
    $schema: 'http://json-schema.org/draft-07/schema#',
    title: 'Switchyard pipeline',
    description: 'A pipeline file (switchyard.yaml): steps, what they read and leave, and where they may run.',
    ...pipelineType.schema,
  };
}
