// Original file: proto/switchyard/v1/build.proto


export interface StepMerged {
  'into'?: (string);
}

export interface StepMerged__Output {
  'into': (string);
}
