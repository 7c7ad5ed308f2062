// Original file: proto/switchyard/v1/data.proto


export interface CommitUploadResponse {
}

export interface CommitUploadResponse__Output {
}
