// Original file: proto/switchyard/v1/build.proto

export const DependencyPolicy = {
  DEPENDENCY_POLICY_UNSPECIFIED: 'DEPENDENCY_POLICY_UNSPECIFIED',
  DEPENDENCY_POLICY_BOTH: 'DEPENDENCY_POLICY_BOTH',
  DEPENDENCY_POLICY_PULL: 'DEPENDENCY_POLICY_PULL',
  DEPENDENCY_POLICY_PUSH: 'DEPENDENCY_POLICY_PUSH',
} as const;

export type DependencyPolicy =
  | 'DEPENDENCY_POLICY_UNSPECIFIED'
  | 0
  | 'DEPENDENCY_POLICY_BOTH'
  | 1
  | 'DEPENDENCY_POLICY_PULL'
  | 2
  | 'DEPENDENCY_POLICY_PUSH'
  | 3

export type DependencyPolicy__Output = typeof DependencyPolicy[keyof typeof DependencyPolicy]
