// Original file: proto/switchyard/v1/build.proto


export interface AttemptAccepted {
  'number'?: (number);
  'token'?: (string);
  'agent'?: (string);
}

export interface AttemptAccepted__Output {
  'number': (number);
  'token': (string);
  'agent': (string);
}
