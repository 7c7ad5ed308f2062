// Original file: proto/switchyard/v1/build.proto


export interface PlanTopologyRequest {
  'text'?: (string);
}

export interface PlanTopologyRequest__Output {
  'text': (string);
}
