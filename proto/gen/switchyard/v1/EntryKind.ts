// Original file: proto/switchyard/v1/cache.proto

export const EntryKind = {
  ENTRY_KIND_UNSPECIFIED: 'ENTRY_KIND_UNSPECIFIED',
  ENTRY_KIND_ACTION: 'ENTRY_KIND_ACTION',
  ENTRY_KIND_DEPENDENCY: 'ENTRY_KIND_DEPENDENCY',
  ENTRY_KIND_LAYER: 'ENTRY_KIND_LAYER',
  ENTRY_KIND_TOOL: 'ENTRY_KIND_TOOL',
} as const;

export type EntryKind =
  | 'ENTRY_KIND_UNSPECIFIED'
  | 0
  | 'ENTRY_KIND_ACTION'
  | 1
  | 'ENTRY_KIND_DEPENDENCY'
  | 2
  | 'ENTRY_KIND_LAYER'
  | 3
  | 'ENTRY_KIND_TOOL'
  | 4

export type EntryKind__Output = typeof EntryKind[keyof typeof EntryKind]
