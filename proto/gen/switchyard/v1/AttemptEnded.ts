// Original file: proto/switchyard/v1/build.proto


export interface AttemptEnded {
  'number'?: (number);
  'agent'?: (string);
  'why'?: (string);
}

export interface AttemptEnded__Output {
  'number': (number);
  'agent': (string);
  'why': (string);
}
