// Original file: proto/switchyard/v1/build.proto


export interface StrandedSteps {
  'steps'?: (number);
  'example'?: (string);
  'selector'?: (string);
  'zone'?: (string);
}

export interface StrandedSteps__Output {
  'steps': (number);
  'example': (string);
  'selector': (string);
  'zone': (string);
}
