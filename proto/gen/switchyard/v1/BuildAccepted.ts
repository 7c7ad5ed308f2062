// Original file: proto/switchyard/v1/build.proto


export interface BuildAccepted {
}

export interface BuildAccepted__Output {
}
