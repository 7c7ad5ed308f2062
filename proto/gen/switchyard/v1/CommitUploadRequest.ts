// Original file: proto/switchyard/v1/data.proto


export interface CommitUploadRequest {
  'instanceName'?: (string);
  'pack'?: (string);
}

export interface CommitUploadRequest__Output {
  'instanceName': (string);
  'pack': (string);
}
