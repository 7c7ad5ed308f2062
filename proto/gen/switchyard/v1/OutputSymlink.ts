// Original file: proto/switchyard/v1/types.proto


export interface OutputSymlink {
  'target'?: (string);
}

export interface OutputSymlink__Output {
  'target': (string);
}
