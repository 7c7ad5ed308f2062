// Original file: proto/switchyard/v1/build.proto


export interface AgentFit {
  'agent'?: (string);
  'lacks'?: (string)[];
}

export interface AgentFit__Output {
  'agent': (string);
  'lacks': (string)[];
}
