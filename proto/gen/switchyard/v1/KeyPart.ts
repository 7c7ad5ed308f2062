// Original file: proto/switchyard/v1/types.proto


export interface KeyPart {
  'name'?: (string);
  'value'?: (string);
}

export interface KeyPart__Output {
  'name': (string);
  'value': (string);
}
