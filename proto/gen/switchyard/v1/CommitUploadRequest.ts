// Original file: proto/switchyard/v1/data.proto


export interface CommitUploadRequest {
  'instanceName'?: (string);
  'upload'?: (string);
}

export interface CommitUploadRequest__Output {
  'instanceName': (string);
  'upload': (string);
}
