// Original file: proto/switchyard/v1/build.proto


export interface Need {
  'step'?: (string);
  'outputs'?: (boolean);
}

export interface Need__Output {
  'step': (string);
  'outputs': (boolean);
}
