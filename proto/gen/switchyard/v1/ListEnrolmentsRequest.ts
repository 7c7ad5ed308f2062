// Original file: proto/switchyard/v1/identity.proto


export interface ListEnrolmentsRequest {
}

export interface ListEnrolmentsRequest__Output {
}
