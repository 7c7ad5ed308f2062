// Original file: proto/switchyard/v1/build.proto

export const BuildPhase = {
  BUILD_PHASE_UNSPECIFIED: 'BUILD_PHASE_UNSPECIFIED',
  BUILD_PHASE_RUNNING: 'BUILD_PHASE_RUNNING',
  BUILD_PHASE_ENDED: 'BUILD_PHASE_ENDED',
} as const;

export type BuildPhase =
  | 'BUILD_PHASE_UNSPECIFIED'
  | 0
  | 'BUILD_PHASE_RUNNING'
  | 1
  | 'BUILD_PHASE_ENDED'
  | 2

export type BuildPhase__Output = typeof BuildPhase[keyof typeof BuildPhase]
