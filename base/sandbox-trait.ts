/** What an executor can guarantee and a step can ask for; meanings are in `proto/switchyard/v1/types.proto`. */
export const SANDBOX_TRAITS = [
  'isolatesFiles',
  'isolatesNetwork',
  'isolatesProcesses',
  'isolatesHost',
  'limitsMemory',
  'limitsPids',
] as const;

export type SandboxTrait = (typeof SANDBOX_TRAITS)[number];
