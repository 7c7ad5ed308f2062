// Original file: proto/switchyard/v1/build.proto


export interface GetEnvironmentResponse {
  'params'?: ({[key: string]: string});
  'flags'?: ({[key: string]: string});
  'warnings'?: (string)[];
}

export interface GetEnvironmentResponse__Output {
  'params': ({[key: string]: string});
  'flags': ({[key: string]: string});
  'warnings': (string)[];
}
