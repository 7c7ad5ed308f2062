import type { EnumTypeDefinition, MessageTypeDefinition } from '@grpc/proto-loader';

import type { Digest as _switchyard_v1_Digest, Digest__Output as _switchyard_v1_Digest__Output } from './switchyard/v1/Digest.ts';
import type { KeyPart as _switchyard_v1_KeyPart, KeyPart__Output as _switchyard_v1_KeyPart__Output } from './switchyard/v1/KeyPart.ts';
import type { OutputDirectory as _switchyard_v1_OutputDirectory, OutputDirectory__Output as _switchyard_v1_OutputDirectory__Output } from './switchyard/v1/OutputDirectory.ts';
import type { OutputEntry as _switchyard_v1_OutputEntry, OutputEntry__Output as _switchyard_v1_OutputEntry__Output } from './switchyard/v1/OutputEntry.ts';
import type { OutputFile as _switchyard_v1_OutputFile, OutputFile__Output as _switchyard_v1_OutputFile__Output } from './switchyard/v1/OutputFile.ts';
import type { OutputSymlink as _switchyard_v1_OutputSymlink, OutputSymlink__Output as _switchyard_v1_OutputSymlink__Output } from './switchyard/v1/OutputSymlink.ts';
import type { Resources as _switchyard_v1_Resources, Resources__Output as _switchyard_v1_Resources__Output } from './switchyard/v1/Resources.ts';
import type { Restore as _switchyard_v1_Restore, Restore__Output as _switchyard_v1_Restore__Output } from './switchyard/v1/Restore.ts';
import type { StepResult as _switchyard_v1_StepResult, StepResult__Output as _switchyard_v1_StepResult__Output } from './switchyard/v1/StepResult.ts';
import type { Usage as _switchyard_v1_Usage, Usage__Output as _switchyard_v1_Usage__Output } from './switchyard/v1/Usage.ts';

export interface ProtoGrpcType {
  switchyard: {
    v1: {
      Digest: MessageTypeDefinition<_switchyard_v1_Digest, _switchyard_v1_Digest__Output>
      FailureClass: EnumTypeDefinition
      KeyPart: MessageTypeDefinition<_switchyard_v1_KeyPart, _switchyard_v1_KeyPart__Output>
      OutputDirectory: MessageTypeDefinition<_switchyard_v1_OutputDirectory, _switchyard_v1_OutputDirectory__Output>
      OutputEntry: MessageTypeDefinition<_switchyard_v1_OutputEntry, _switchyard_v1_OutputEntry__Output>
      OutputFile: MessageTypeDefinition<_switchyard_v1_OutputFile, _switchyard_v1_OutputFile__Output>
      OutputSymlink: MessageTypeDefinition<_switchyard_v1_OutputSymlink, _switchyard_v1_OutputSymlink__Output>
      Resources: MessageTypeDefinition<_switchyard_v1_Resources, _switchyard_v1_Resources__Output>
      Restore: MessageTypeDefinition<_switchyard_v1_Restore, _switchyard_v1_Restore__Output>
      SandboxTrait: EnumTypeDefinition
      StepResult: MessageTypeDefinition<_switchyard_v1_StepResult, _switchyard_v1_StepResult__Output>
      Usage: MessageTypeDefinition<_switchyard_v1_Usage, _switchyard_v1_Usage__Output>
      Zone: EnumTypeDefinition
    }
  }
}

