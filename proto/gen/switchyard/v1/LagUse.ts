// Original file: proto/switchyard/v1/build.proto

export const LagUse = {
  LAG_USE_UNSPECIFIED: 'LAG_USE_UNSPECIFIED',
  LAG_USE_SKIP: 'LAG_USE_SKIP',
  LAG_USE_DEFAULT: 'LAG_USE_DEFAULT',
} as const;

export type LagUse =
  | 'LAG_USE_UNSPECIFIED'
  | 0
  | 'LAG_USE_SKIP'
  | 1
  | 'LAG_USE_DEFAULT'
  | 2

export type LagUse__Output = typeof LagUse[keyof typeof LagUse]
