// Original file: proto/switchyard/v1/build.proto

export const HoldKind = {
  HOLD_KIND_UNSPECIFIED: 'HOLD_KIND_UNSPECIFIED',
  HOLD_KIND_PAUSE: 'HOLD_KIND_PAUSE',
  HOLD_KIND_DRAIN: 'HOLD_KIND_DRAIN',
} as const;

export type HoldKind =
  | 'HOLD_KIND_UNSPECIFIED'
  | 0
  | 'HOLD_KIND_PAUSE'
  | 1
  | 'HOLD_KIND_DRAIN'
  | 2

export type HoldKind__Output = typeof HoldKind[keyof typeof HoldKind]
