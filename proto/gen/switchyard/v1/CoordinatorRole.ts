// Original file: proto/switchyard/v1/build.proto

export const CoordinatorRole = {
  COORDINATOR_ROLE_UNSPECIFIED: 'COORDINATOR_ROLE_UNSPECIFIED',
  COORDINATOR_ROLE_LEADING: 'COORDINATOR_ROLE_LEADING',
  COORDINATOR_ROLE_FOLLOWING: 'COORDINATOR_ROLE_FOLLOWING',
} as const;

export type CoordinatorRole =
  | 'COORDINATOR_ROLE_UNSPECIFIED'
  | 0
  | 'COORDINATOR_ROLE_LEADING'
  | 1
  | 'COORDINATOR_ROLE_FOLLOWING'
  | 2

export type CoordinatorRole__Output = typeof CoordinatorRole[keyof typeof CoordinatorRole]
