// Original file: proto/switchyard/v1/build.proto

export const ResultSource = {
  RESULT_SOURCE_UNSPECIFIED: 'RESULT_SOURCE_UNSPECIFIED',
  RESULT_SOURCE_RUN: 'RESULT_SOURCE_RUN',
  RESULT_SOURCE_CACHE: 'RESULT_SOURCE_CACHE',
  RESULT_SOURCE_MERGE: 'RESULT_SOURCE_MERGE',
} as const;

export type ResultSource =
  | 'RESULT_SOURCE_UNSPECIFIED'
  | 0
  | 'RESULT_SOURCE_RUN'
  | 1
  | 'RESULT_SOURCE_CACHE'
  | 2
  | 'RESULT_SOURCE_MERGE'
  | 3

export type ResultSource__Output = typeof ResultSource[keyof typeof ResultSource]
