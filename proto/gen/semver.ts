import type { MessageTypeDefinition } from '@grpc/proto-loader';

import type { SemVer as _build_bazel_semver_SemVer, SemVer__Output as _build_bazel_semver_SemVer__Output } from './build/bazel/semver/SemVer.ts';

export interface ProtoGrpcType {
  build: {
    bazel: {
      semver: {
        SemVer: MessageTypeDefinition<_build_bazel_semver_SemVer, _build_bazel_semver_SemVer__Output>
      }
    }
  }
}

