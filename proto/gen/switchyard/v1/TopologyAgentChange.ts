// Original file: proto/switchyard/v1/build.proto


export interface TopologyAgentChange {
  'agent'?: (string);
  'change'?: (string);
}

export interface TopologyAgentChange__Output {
  'agent': (string);
  'change': (string);
}
