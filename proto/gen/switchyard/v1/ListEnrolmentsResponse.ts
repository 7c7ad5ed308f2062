// Original file: proto/switchyard/v1/identity.proto

import type { Enrolment as _switchyard_v1_Enrolment, Enrolment__Output as _switchyard_v1_Enrolment__Output } from '../../switchyard/v1/Enrolment.ts';

export interface ListEnrolmentsResponse {
  'enrolments'?: (_switchyard_v1_Enrolment)[];
}

export interface ListEnrolmentsResponse__Output {
  'enrolments': (_switchyard_v1_Enrolment__Output)[];
}
