import type * as grpc from '@grpc/grpc-js';
import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { AllowRequest as _switchyard_v1_AllowRequest, AllowRequest__Output as _switchyard_v1_AllowRequest__Output } from './switchyard/v1/AllowRequest.ts';
import type { AllowResponse as _switchyard_v1_AllowResponse, AllowResponse__Output as _switchyard_v1_AllowResponse__Output } from './switchyard/v1/AllowResponse.ts';
import type { AuditRecord as _switchyard_v1_AuditRecord, AuditRecord__Output as _switchyard_v1_AuditRecord__Output } from './switchyard/v1/AuditRecord.ts';
import type { CreateEnrolmentRequest as _switchyard_v1_CreateEnrolmentRequest, CreateEnrolmentRequest__Output as _switchyard_v1_CreateEnrolmentRequest__Output } from './switchyard/v1/CreateEnrolmentRequest.ts';
import type { CreateEnrolmentResponse as _switchyard_v1_CreateEnrolmentResponse, CreateEnrolmentResponse__Output as _switchyard_v1_CreateEnrolmentResponse__Output } from './switchyard/v1/CreateEnrolmentResponse.ts';
import type { Denial as _switchyard_v1_Denial, Denial__Output as _switchyard_v1_Denial__Output } from './switchyard/v1/Denial.ts';
import type { DenyRequest as _switchyard_v1_DenyRequest, DenyRequest__Output as _switchyard_v1_DenyRequest__Output } from './switchyard/v1/DenyRequest.ts';
import type { DenyResponse as _switchyard_v1_DenyResponse, DenyResponse__Output as _switchyard_v1_DenyResponse__Output } from './switchyard/v1/DenyResponse.ts';
import type { EnrolRequest as _switchyard_v1_EnrolRequest, EnrolRequest__Output as _switchyard_v1_EnrolRequest__Output } from './switchyard/v1/EnrolRequest.ts';
import type { EnrolResponse as _switchyard_v1_EnrolResponse, EnrolResponse__Output as _switchyard_v1_EnrolResponse__Output } from './switchyard/v1/EnrolResponse.ts';
import type { Enrolment as _switchyard_v1_Enrolment, Enrolment__Output as _switchyard_v1_Enrolment__Output } from './switchyard/v1/Enrolment.ts';
import type { GetAuthoritiesRequest as _switchyard_v1_GetAuthoritiesRequest, GetAuthoritiesRequest__Output as _switchyard_v1_GetAuthoritiesRequest__Output } from './switchyard/v1/GetAuthoritiesRequest.ts';
import type { GetAuthoritiesResponse as _switchyard_v1_GetAuthoritiesResponse, GetAuthoritiesResponse__Output as _switchyard_v1_GetAuthoritiesResponse__Output } from './switchyard/v1/GetAuthoritiesResponse.ts';
import type { IdentifyRequest as _switchyard_v1_IdentifyRequest, IdentifyRequest__Output as _switchyard_v1_IdentifyRequest__Output } from './switchyard/v1/IdentifyRequest.ts';
import type { IdentifyResponse as _switchyard_v1_IdentifyResponse, IdentifyResponse__Output as _switchyard_v1_IdentifyResponse__Output } from './switchyard/v1/IdentifyResponse.ts';
import type { IdentityClient as _switchyard_v1_IdentityClient, IdentityDefinition as _switchyard_v1_IdentityDefinition } from './switchyard/v1/Identity.ts';
import type { ListAuditRequest as _switchyard_v1_ListAuditRequest, ListAuditRequest__Output as _switchyard_v1_ListAuditRequest__Output } from './switchyard/v1/ListAuditRequest.ts';
import type { ListAuditResponse as _switchyard_v1_ListAuditResponse, ListAuditResponse__Output as _switchyard_v1_ListAuditResponse__Output } from './switchyard/v1/ListAuditResponse.ts';
import type { ListDenialsRequest as _switchyard_v1_ListDenialsRequest, ListDenialsRequest__Output as _switchyard_v1_ListDenialsRequest__Output } from './switchyard/v1/ListDenialsRequest.ts';
import type { ListDenialsResponse as _switchyard_v1_ListDenialsResponse, ListDenialsResponse__Output as _switchyard_v1_ListDenialsResponse__Output } from './switchyard/v1/ListDenialsResponse.ts';
import type { ListEnrolmentsRequest as _switchyard_v1_ListEnrolmentsRequest, ListEnrolmentsRequest__Output as _switchyard_v1_ListEnrolmentsRequest__Output } from './switchyard/v1/ListEnrolmentsRequest.ts';
import type { ListEnrolmentsResponse as _switchyard_v1_ListEnrolmentsResponse, ListEnrolmentsResponse__Output as _switchyard_v1_ListEnrolmentsResponse__Output } from './switchyard/v1/ListEnrolmentsResponse.ts';
import type { RenewCertificateRequest as _switchyard_v1_RenewCertificateRequest, RenewCertificateRequest__Output as _switchyard_v1_RenewCertificateRequest__Output } from './switchyard/v1/RenewCertificateRequest.ts';
import type { RevokeEnrolmentRequest as _switchyard_v1_RevokeEnrolmentRequest, RevokeEnrolmentRequest__Output as _switchyard_v1_RevokeEnrolmentRequest__Output } from './switchyard/v1/RevokeEnrolmentRequest.ts';
import type { RevokeEnrolmentResponse as _switchyard_v1_RevokeEnrolmentResponse, RevokeEnrolmentResponse__Output as _switchyard_v1_RevokeEnrolmentResponse__Output } from './switchyard/v1/RevokeEnrolmentResponse.ts';

type SubtypeConstructor<Constructor extends new (...args: any) => any, Subtype> = {
  new(...args: ConstructorParameters<Constructor>): Subtype;
};

export interface ProtoGrpcType {
  switchyard: {
    v1: {
      AllowRequest: MessageTypeDefinition<_switchyard_v1_AllowRequest, _switchyard_v1_AllowRequest__Output>
      AllowResponse: MessageTypeDefinition<_switchyard_v1_AllowResponse, _switchyard_v1_AllowResponse__Output>
      AuditRecord: MessageTypeDefinition<_switchyard_v1_AuditRecord, _switchyard_v1_AuditRecord__Output>
      CreateEnrolmentRequest: MessageTypeDefinition<_switchyard_v1_CreateEnrolmentRequest, _switchyard_v1_CreateEnrolmentRequest__Output>
      CreateEnrolmentResponse: MessageTypeDefinition<_switchyard_v1_CreateEnrolmentResponse, _switchyard_v1_CreateEnrolmentResponse__Output>
      Denial: MessageTypeDefinition<_switchyard_v1_Denial, _switchyard_v1_Denial__Output>
      DenyRequest: MessageTypeDefinition<_switchyard_v1_DenyRequest, _switchyard_v1_DenyRequest__Output>
      DenyResponse: MessageTypeDefinition<_switchyard_v1_DenyResponse, _switchyard_v1_DenyResponse__Output>
      EnrolRequest: MessageTypeDefinition<_switchyard_v1_EnrolRequest, _switchyard_v1_EnrolRequest__Output>
      EnrolResponse: MessageTypeDefinition<_switchyard_v1_EnrolResponse, _switchyard_v1_EnrolResponse__Output>
      Enrolment: MessageTypeDefinition<_switchyard_v1_Enrolment, _switchyard_v1_Enrolment__Output>
      GetAuthoritiesRequest: MessageTypeDefinition<_switchyard_v1_GetAuthoritiesRequest, _switchyard_v1_GetAuthoritiesRequest__Output>
      GetAuthoritiesResponse: MessageTypeDefinition<_switchyard_v1_GetAuthoritiesResponse, _switchyard_v1_GetAuthoritiesResponse__Output>
      IdentifyRequest: MessageTypeDefinition<_switchyard_v1_IdentifyRequest, _switchyard_v1_IdentifyRequest__Output>
      IdentifyResponse: MessageTypeDefinition<_switchyard_v1_IdentifyResponse, _switchyard_v1_IdentifyResponse__Output>
      Identity: SubtypeConstructor<typeof grpc.Client, _switchyard_v1_IdentityClient> & { service: _switchyard_v1_IdentityDefinition }
      ListAuditRequest: MessageTypeDefinition<_switchyard_v1_ListAuditRequest, _switchyard_v1_ListAuditRequest__Output>
      ListAuditResponse: MessageTypeDefinition<_switchyard_v1_ListAuditResponse, _switchyard_v1_ListAuditResponse__Output>
      ListDenialsRequest: MessageTypeDefinition<_switchyard_v1_ListDenialsRequest, _switchyard_v1_ListDenialsRequest__Output>
      ListDenialsResponse: MessageTypeDefinition<_switchyard_v1_ListDenialsResponse, _switchyard_v1_ListDenialsResponse__Output>
      ListEnrolmentsRequest: MessageTypeDefinition<_switchyard_v1_ListEnrolmentsRequest, _switchyard_v1_ListEnrolmentsRequest__Output>
      ListEnrolmentsResponse: MessageTypeDefinition<_switchyard_v1_ListEnrolmentsResponse, _switchyard_v1_ListEnrolmentsResponse__Output>
      RenewCertificateRequest: MessageTypeDefinition<_switchyard_v1_RenewCertificateRequest, _switchyard_v1_RenewCertificateRequest__Output>
      RevokeEnrolmentRequest: MessageTypeDefinition<_switchyard_v1_RevokeEnrolmentRequest, _switchyard_v1_RevokeEnrolmentRequest__Output>
      RevokeEnrolmentResponse: MessageTypeDefinition<_switchyard_v1_RevokeEnrolmentResponse, _switchyard_v1_RevokeEnrolmentResponse__Output>
    }
  }
}

