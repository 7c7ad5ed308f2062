// Original file: proto/switchyard/v1/build.proto


export interface AttemptStarted {
  'number'?: (number);
  'agent'?: (string);
}

export interface AttemptStarted__Output {
  'number': (number);
  'agent': (string);
}
