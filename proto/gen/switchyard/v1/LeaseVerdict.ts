// Original file: proto/switchyard/v1/agent.proto


// Original file: proto/switchyard/v1/agent.proto

export const _switchyard_v1_LeaseVerdict_Verdict = {
  VERDICT_UNSPECIFIED: 'VERDICT_UNSPECIFIED',
  CONTINUE: 'CONTINUE',
  CANCEL: 'CANCEL',
  LOST: 'LOST',
} as const;

export type _switchyard_v1_LeaseVerdict_Verdict =
  | 'VERDICT_UNSPECIFIED'
  | 0
  | 'CONTINUE'
  | 1
  | 'CANCEL'
  | 2
  | 'LOST'
  | 3

export type _switchyard_v1_LeaseVerdict_Verdict__Output = typeof _switchyard_v1_LeaseVerdict_Verdict[keyof typeof _switchyard_v1_LeaseVerdict_Verdict]

export interface LeaseVerdict {
  'token'?: (string);
  'verdict'?: (_switchyard_v1_LeaseVerdict_Verdict);
  'grant'?: (string);
}

export interface LeaseVerdict__Output {
  'token': (string);
  'verdict': (_switchyard_v1_LeaseVerdict_Verdict__Output);
  'grant': (string);
}
