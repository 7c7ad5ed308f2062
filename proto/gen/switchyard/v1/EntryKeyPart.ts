// Original file: proto/switchyard/v1/cache.proto


export interface EntryKeyPart {
  'name'?: (string);
  'value'?: (string);
}

export interface EntryKeyPart__Output {
  'name': (string);
  'value': (string);
}
