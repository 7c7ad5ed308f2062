// Original file: proto/switchyard/v1/data.proto


export interface BeginUploadsRequest {
  'instanceName'?: (string);
}

export interface BeginUploadsRequest__Output {
  'instanceName': (string);
}
