// Original file: proto/switchyard/v1/build.proto

export const RunIf = {
  RUN_IF_UNSPECIFIED: 'RUN_IF_UNSPECIFIED',
  RUN_IF_SUCCEEDED: 'RUN_IF_SUCCEEDED',
  RUN_IF_FAILED: 'RUN_IF_FAILED',
  RUN_IF_ALWAYS: 'RUN_IF_ALWAYS',
} as const;

export type RunIf =
  | 'RUN_IF_UNSPECIFIED'
  | 0
  | 'RUN_IF_SUCCEEDED'
  | 1
  | 'RUN_IF_FAILED'
  | 2
  | 'RUN_IF_ALWAYS'
  | 3

export type RunIf__Output = typeof RunIf[keyof typeof RunIf]
