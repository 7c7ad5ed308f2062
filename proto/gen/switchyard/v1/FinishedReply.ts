// Original file: proto/switchyard/v1/agent.proto


// Original file: proto/switchyard/v1/agent.proto

export const _switchyard_v1_FinishedReply_Verdict = {
  VERDICT_UNSPECIFIED: 'VERDICT_UNSPECIFIED',
  ACCEPTED: 'ACCEPTED',
  ALREADY_ACCEPTED: 'ALREADY_ACCEPTED',
  FENCED: 'FENCED',
} as const;

export type _switchyard_v1_FinishedReply_Verdict =
  | 'VERDICT_UNSPECIFIED'
  | 0
  | 'ACCEPTED'
  | 1
  | 'ALREADY_ACCEPTED'
  | 2
  | 'FENCED'
  | 3

export type _switchyard_v1_FinishedReply_Verdict__Output = typeof _switchyard_v1_FinishedReply_Verdict[keyof typeof _switchyard_v1_FinishedReply_Verdict]

export interface FinishedReply {
  'token'?: (string);
  'verdict'?: (_switchyard_v1_FinishedReply_Verdict);
}

export interface FinishedReply__Output {
  'token': (string);
  'verdict': (_switchyard_v1_FinishedReply_Verdict__Output);
}
