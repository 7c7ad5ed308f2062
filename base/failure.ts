/**
 * Why an attempt ended without success. A `failure` is the step's own fault, retried as its policy says; an `error` is
 * ours or the world's, retried by us elsewhere and free of charge. Both sides of the agent protocol use these names.
 */
export const FAILURE_CLASSES = {
  /** The command ended with a code other than 0. */
  exit: 'failure',
  /** The attempt ran longer than it may. */
  timeout: 'failure',
  /** An output was not what it may be: a link out of the tree, a device. */
  output: 'failure',
  /** The command took more memory than it asked for. */
  oom: 'failure',
  'agent-lost': 'error',
  'agent-stop': 'error',
  'sandbox-error': 'error',
  'cache-error': 'error',
  cancelled: 'error',
} as const satisfies Record<string, 'failure' | 'error'>;

export type FailureClass = keyof typeof FAILURE_CLASSES;
