// Original file: proto/switchyard/v1/types.proto

export const Zone = {
  ZONE_UNSPECIFIED: 'ZONE_UNSPECIFIED',
  ZONE_UNTRUSTED: 'ZONE_UNTRUSTED',
  ZONE_TRUSTED: 'ZONE_TRUSTED',
  ZONE_PRODUCTION: 'ZONE_PRODUCTION',
} as const;

export type Zone =
  | 'ZONE_UNSPECIFIED'
  | 0
  | 'ZONE_UNTRUSTED'
  | 1
  | 'ZONE_TRUSTED'
  | 2
  | 'ZONE_PRODUCTION'
  | 3

export type Zone__Output = typeof Zone[keyof typeof Zone]
