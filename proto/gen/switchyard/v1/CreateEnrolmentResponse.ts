// Original file: proto/switchyard/v1/identity.proto

import type { Enrolment as _switchyard_v1_Enrolment, Enrolment__Output as _switchyard_v1_Enrolment__Output } from '../../switchyard/v1/Enrolment.ts';

export interface CreateEnrolmentResponse {
  'token'?: (string);
  'enrolment'?: (_switchyard_v1_Enrolment | null);
}

export interface CreateEnrolmentResponse__Output {
  'token': (string);
  'enrolment': (_switchyard_v1_Enrolment__Output | null);
}
