// Original file: proto/switchyard/v1/data.proto


export interface TakeRefusalsRequest {
  'keptBatches'?: (string)[];
}

export interface TakeRefusalsRequest__Output {
  'keptBatches': (string)[];
}
