// Original file: proto/switchyard/v1/build.proto


export interface StepReady {
}

export interface StepReady__Output {
}
