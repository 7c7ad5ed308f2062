// Original file: proto/switchyard/v1/types.proto

import type { OutputFile as _switchyard_v1_OutputFile, OutputFile__Output as _switchyard_v1_OutputFile__Output } from '../../switchyard/v1/OutputFile.ts';
import type { OutputDirectory as _switchyard_v1_OutputDirectory, OutputDirectory__Output as _switchyard_v1_OutputDirectory__Output } from '../../switchyard/v1/OutputDirectory.ts';
import type { OutputSymlink as _switchyard_v1_OutputSymlink, OutputSymlink__Output as _switchyard_v1_OutputSymlink__Output } from '../../switchyard/v1/OutputSymlink.ts';

export interface OutputEntry {
  'path'?: (string);
  'file'?: (_switchyard_v1_OutputFile | null);
  'directory'?: (_switchyard_v1_OutputDirectory | null);
  'symlink'?: (_switchyard_v1_OutputSymlink | null);
  'kind'?: "file"|"directory"|"symlink";
}

export interface OutputEntry__Output {
  'path': (string);
  'file'?: (_switchyard_v1_OutputFile__Output | null);
  'directory'?: (_switchyard_v1_OutputDirectory__Output | null);
  'symlink'?: (_switchyard_v1_OutputSymlink__Output | null);
  'kind'?: "file"|"directory"|"symlink";
}
