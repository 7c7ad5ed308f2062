// Original file: proto/switchyard/v1/identity.proto

import type * as grpc from '@grpc/grpc-js'
import type { MethodDefinition } from '@grpc/proto-loader'
import type { AllowRequest as _switchyard_v1_AllowRequest, AllowRequest__Output as _switchyard_v1_AllowRequest__Output } from '../../switchyard/v1/AllowRequest.ts';
import type { AllowResponse as _switchyard_v1_AllowResponse, AllowResponse__Output as _switchyard_v1_AllowResponse__Output } from '../../switchyard/v1/AllowResponse.ts';
import type { CreateEnrolmentRequest as _switchyard_v1_CreateEnrolmentRequest, CreateEnrolmentRequest__Output as _switchyard_v1_CreateEnrolmentRequest__Output } from '../../switchyard/v1/CreateEnrolmentRequest.ts';
import type { CreateEnrolmentResponse as _switchyard_v1_CreateEnrolmentResponse, CreateEnrolmentResponse__Output as _switchyard_v1_CreateEnrolmentResponse__Output } from '../../switchyard/v1/CreateEnrolmentResponse.ts';
import type { DenyRequest as _switchyard_v1_DenyRequest, DenyRequest__Output as _switchyard_v1_DenyRequest__Output } from '../../switchyard/v1/DenyRequest.ts';
import type { DenyResponse as _switchyard_v1_DenyResponse, DenyResponse__Output as _switchyard_v1_DenyResponse__Output } from '../../switchyard/v1/DenyResponse.ts';
import type { EnrolRequest as _switchyard_v1_EnrolRequest, EnrolRequest__Output as _switchyard_v1_EnrolRequest__Output } from '../../switchyard/v1/EnrolRequest.ts';
import type { EnrolResponse as _switchyard_v1_EnrolResponse, EnrolResponse__Output as _switchyard_v1_EnrolResponse__Output } from '../../switchyard/v1/EnrolResponse.ts';
import type { GetAuthoritiesRequest as _switchyard_v1_GetAuthoritiesRequest, GetAuthoritiesRequest__Output as _switchyard_v1_GetAuthoritiesRequest__Output } from '../../switchyard/v1/GetAuthoritiesRequest.ts';
import type { GetAuthoritiesResponse as _switchyard_v1_GetAuthoritiesResponse, GetAuthoritiesResponse__Output as _switchyard_v1_GetAuthoritiesResponse__Output } from '../../switchyard/v1/GetAuthoritiesResponse.ts';
import type { IdentifyRequest as _switchyard_v1_IdentifyRequest, IdentifyRequest__Output as _switchyard_v1_IdentifyRequest__Output } from '../../switchyard/v1/IdentifyRequest.ts';
import type { IdentifyResponse as _switchyard_v1_IdentifyResponse, IdentifyResponse__Output as _switchyard_v1_IdentifyResponse__Output } from '../../switchyard/v1/IdentifyResponse.ts';
import type { ListAuditRequest as _switchyard_v1_ListAuditRequest, ListAuditRequest__Output as _switchyard_v1_ListAuditRequest__Output } from '../../switchyard/v1/ListAuditRequest.ts';
import type { ListAuditResponse as _switchyard_v1_ListAuditResponse, ListAuditResponse__Output as _switchyard_v1_ListAuditResponse__Output } from '../../switchyard/v1/ListAuditResponse.ts';
import type { ListDenialsRequest as _switchyard_v1_ListDenialsRequest, ListDenialsRequest__Output as _switchyard_v1_ListDenialsRequest__Output } from '../../switchyard/v1/ListDenialsRequest.ts';
import type { ListDenialsResponse as _switchyard_v1_ListDenialsResponse, ListDenialsResponse__Output as _switchyard_v1_ListDenialsResponse__Output } from '../../switchyard/v1/ListDenialsResponse.ts';
import type { ListEnrolmentsRequest as _switchyard_v1_ListEnrolmentsRequest, ListEnrolmentsRequest__Output as _switchyard_v1_ListEnrolmentsRequest__Output } from '../../switchyard/v1/ListEnrolmentsRequest.ts';
import type { ListEnrolmentsResponse as _switchyard_v1_ListEnrolmentsResponse, ListEnrolmentsResponse__Output as _switchyard_v1_ListEnrolmentsResponse__Output } from '../../switchyard/v1/ListEnrolmentsResponse.ts';
import type { RenewCertificateRequest as _switchyard_v1_RenewCertificateRequest, RenewCertificateRequest__Output as _switchyard_v1_RenewCertificateRequest__Output } from '../../switchyard/v1/RenewCertificateRequest.ts';
import type { RevokeEnrolmentRequest as _switchyard_v1_RevokeEnrolmentRequest, RevokeEnrolmentRequest__Output as _switchyard_v1_RevokeEnrolmentRequest__Output } from '../../switchyard/v1/RevokeEnrolmentRequest.ts';
import type { RevokeEnrolmentResponse as _switchyard_v1_RevokeEnrolmentResponse, RevokeEnrolmentResponse__Output as _switchyard_v1_RevokeEnrolmentResponse__Output } from '../../switchyard/v1/RevokeEnrolmentResponse.ts';

export interface IdentityClient extends grpc.Client {
  Allow(argument: _switchyard_v1_AllowRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  Allow(argument: _switchyard_v1_AllowRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  Allow(argument: _switchyard_v1_AllowRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  Allow(argument: _switchyard_v1_AllowRequest, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  allow(argument: _switchyard_v1_AllowRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  allow(argument: _switchyard_v1_AllowRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  allow(argument: _switchyard_v1_AllowRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  allow(argument: _switchyard_v1_AllowRequest, callback: grpc.requestCallback<_switchyard_v1_AllowResponse__Output>): grpc.ClientUnaryCall;
  
  CreateEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  CreateEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  CreateEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  CreateEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  createEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  createEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  createEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  createEnrolment(argument: _switchyard_v1_CreateEnrolmentRequest, callback: grpc.requestCallback<_switchyard_v1_CreateEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  
  Deny(argument: _switchyard_v1_DenyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  Deny(argument: _switchyard_v1_DenyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  Deny(argument: _switchyard_v1_DenyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  Deny(argument: _switchyard_v1_DenyRequest, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  deny(argument: _switchyard_v1_DenyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  deny(argument: _switchyard_v1_DenyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  deny(argument: _switchyard_v1_DenyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  deny(argument: _switchyard_v1_DenyRequest, callback: grpc.requestCallback<_switchyard_v1_DenyResponse__Output>): grpc.ClientUnaryCall;
  
  Enrol(argument: _switchyard_v1_EnrolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _switchyard_v1_EnrolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _switchyard_v1_EnrolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  Enrol(argument: _switchyard_v1_EnrolRequest, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  enrol(argument: _switchyard_v1_EnrolRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  enrol(argument: _switchyard_v1_EnrolRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  enrol(argument: _switchyard_v1_EnrolRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  enrol(argument: _switchyard_v1_EnrolRequest, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  
  GetAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  GetAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  GetAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  GetAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  getAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  getAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  getAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  getAuthorities(argument: _switchyard_v1_GetAuthoritiesRequest, callback: grpc.requestCallback<_switchyard_v1_GetAuthoritiesResponse__Output>): grpc.ClientUnaryCall;
  
  Identify(argument: _switchyard_v1_IdentifyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  Identify(argument: _switchyard_v1_IdentifyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  Identify(argument: _switchyard_v1_IdentifyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  Identify(argument: _switchyard_v1_IdentifyRequest, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  identify(argument: _switchyard_v1_IdentifyRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  identify(argument: _switchyard_v1_IdentifyRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  identify(argument: _switchyard_v1_IdentifyRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  identify(argument: _switchyard_v1_IdentifyRequest, callback: grpc.requestCallback<_switchyard_v1_IdentifyResponse__Output>): grpc.ClientUnaryCall;
  
  ListAudit(argument: _switchyard_v1_ListAuditRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  ListAudit(argument: _switchyard_v1_ListAuditRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  ListAudit(argument: _switchyard_v1_ListAuditRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  ListAudit(argument: _switchyard_v1_ListAuditRequest, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _switchyard_v1_ListAuditRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _switchyard_v1_ListAuditRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _switchyard_v1_ListAuditRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  listAudit(argument: _switchyard_v1_ListAuditRequest, callback: grpc.requestCallback<_switchyard_v1_ListAuditResponse__Output>): grpc.ClientUnaryCall;
  
  ListDenials(argument: _switchyard_v1_ListDenialsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  ListDenials(argument: _switchyard_v1_ListDenialsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  ListDenials(argument: _switchyard_v1_ListDenialsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  ListDenials(argument: _switchyard_v1_ListDenialsRequest, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  listDenials(argument: _switchyard_v1_ListDenialsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  listDenials(argument: _switchyard_v1_ListDenialsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  listDenials(argument: _switchyard_v1_ListDenialsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  listDenials(argument: _switchyard_v1_ListDenialsRequest, callback: grpc.requestCallback<_switchyard_v1_ListDenialsResponse__Output>): grpc.ClientUnaryCall;
  
  ListEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  ListEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  ListEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  ListEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  listEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  listEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  listEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  listEnrolments(argument: _switchyard_v1_ListEnrolmentsRequest, callback: grpc.requestCallback<_switchyard_v1_ListEnrolmentsResponse__Output>): grpc.ClientUnaryCall;
  
  RenewCertificate(argument: _switchyard_v1_RenewCertificateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  RenewCertificate(argument: _switchyard_v1_RenewCertificateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  RenewCertificate(argument: _switchyard_v1_RenewCertificateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  RenewCertificate(argument: _switchyard_v1_RenewCertificateRequest, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  renewCertificate(argument: _switchyard_v1_RenewCertificateRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  renewCertificate(argument: _switchyard_v1_RenewCertificateRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  renewCertificate(argument: _switchyard_v1_RenewCertificateRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  renewCertificate(argument: _switchyard_v1_RenewCertificateRequest, callback: grpc.requestCallback<_switchyard_v1_EnrolResponse__Output>): grpc.ClientUnaryCall;
  
  RevokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  RevokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  RevokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  RevokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  revokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, metadata: grpc.Metadata, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  revokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, metadata: grpc.Metadata, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  revokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, options: grpc.CallOptions, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  revokeEnrolment(argument: _switchyard_v1_RevokeEnrolmentRequest, callback: grpc.requestCallback<_switchyard_v1_RevokeEnrolmentResponse__Output>): grpc.ClientUnaryCall;
  
}

export interface IdentityHandlers extends grpc.UntypedServiceImplementation {
  Allow: grpc.handleUnaryCall<_switchyard_v1_AllowRequest__Output, _switchyard_v1_AllowResponse>;
  
  CreateEnrolment: grpc.handleUnaryCall<_switchyard_v1_CreateEnrolmentRequest__Output, _switchyard_v1_CreateEnrolmentResponse>;
  
  Deny: grpc.handleUnaryCall<_switchyard_v1_DenyRequest__Output, _switchyard_v1_DenyResponse>;
  
  Enrol: grpc.handleUnaryCall<_switchyard_v1_EnrolRequest__Output, _switchyard_v1_EnrolResponse>;
  
  GetAuthorities: grpc.handleUnaryCall<_switchyard_v1_GetAuthoritiesRequest__Output, _switchyard_v1_GetAuthoritiesResponse>;
  
  Identify: grpc.handleUnaryCall<_switchyard_v1_IdentifyRequest__Output, _switchyard_v1_IdentifyResponse>;
  
  ListAudit: grpc.handleUnaryCall<_switchyard_v1_ListAuditRequest__Output, _switchyard_v1_ListAuditResponse>;
  
  ListDenials: grpc.handleUnaryCall<_switchyard_v1_ListDenialsRequest__Output, _switchyard_v1_ListDenialsResponse>;
  
  ListEnrolments: grpc.handleUnaryCall<_switchyard_v1_ListEnrolmentsRequest__Output, _switchyard_v1_ListEnrolmentsResponse>;
  
  RenewCertificate: grpc.handleUnaryCall<_switchyard_v1_RenewCertificateRequest__Output, _switchyard_v1_EnrolResponse>;
  
  RevokeEnrolment: grpc.handleUnaryCall<_switchyard_v1_RevokeEnrolmentRequest__Output, _switchyard_v1_RevokeEnrolmentResponse>;
  
}

export interface IdentityDefinition extends grpc.ServiceDefinition {
  Allow: MethodDefinition<_switchyard_v1_AllowRequest, _switchyard_v1_AllowResponse, _switchyard_v1_AllowRequest__Output, _switchyard_v1_AllowResponse__Output>
  CreateEnrolment: MethodDefinition<_switchyard_v1_CreateEnrolmentRequest, _switchyard_v1_CreateEnrolmentResponse, _switchyard_v1_CreateEnrolmentRequest__Output, _switchyard_v1_CreateEnrolmentResponse__Output>
  Deny: MethodDefinition<_switchyard_v1_DenyRequest, _switchyard_v1_DenyResponse, _switchyard_v1_DenyRequest__Output, _switchyard_v1_DenyResponse__Output>
  Enrol: MethodDefinition<_switchyard_v1_EnrolRequest, _switchyard_v1_EnrolResponse, _switchyard_v1_EnrolRequest__Output, _switchyard_v1_EnrolResponse__Output>
  GetAuthorities: MethodDefinition<_switchyard_v1_GetAuthoritiesRequest, _switchyard_v1_GetAuthoritiesResponse, _switchyard_v1_GetAuthoritiesRequest__Output, _switchyard_v1_GetAuthoritiesResponse__Output>
  Identify: MethodDefinition<_switchyard_v1_IdentifyRequest, _switchyard_v1_IdentifyResponse, _switchyard_v1_IdentifyRequest__Output, _switchyard_v1_IdentifyResponse__Output>
  ListAudit: MethodDefinition<_switchyard_v1_ListAuditRequest, _switchyard_v1_ListAuditResponse, _switchyard_v1_ListAuditRequest__Output, _switchyard_v1_ListAuditResponse__Output>
  ListDenials: MethodDefinition<_switchyard_v1_ListDenialsRequest, _switchyard_v1_ListDenialsResponse, _switchyard_v1_ListDenialsRequest__Output, _switchyard_v1_ListDenialsResponse__Output>
  ListEnrolments: MethodDefinition<_switchyard_v1_ListEnrolmentsRequest, _switchyard_v1_ListEnrolmentsResponse, _switchyard_v1_ListEnrolmentsRequest__Output, _switchyard_v1_ListEnrolmentsResponse__Output>
  RenewCertificate: MethodDefinition<_switchyard_v1_RenewCertificateRequest, _switchyard_v1_EnrolResponse, _switchyard_v1_RenewCertificateRequest__Output, _switchyard_v1_EnrolResponse__Output>
  RevokeEnrolment: MethodDefinition<_switchyard_v1_RevokeEnrolmentRequest, _switchyard_v1_RevokeEnrolmentResponse, _switchyard_v1_RevokeEnrolmentRequest__Output, _switchyard_v1_RevokeEnrolmentResponse__Output>
}
