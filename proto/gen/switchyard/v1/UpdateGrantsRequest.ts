// Original file: proto/switchyard/v1/data.proto


export interface UpdateGrantsRequest {
  'endedTokens'?: (string)[];
  'keptGrants'?: (string)[];
}

export interface UpdateGrantsRequest__Output {
  'endedTokens': (string)[];
  'keptGrants': (string)[];
}
