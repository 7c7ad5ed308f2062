import type { EnumTypeDefinition } from '@grpc/proto-loader';


export interface ProtoGrpcType {
  google: {
    rpc: {
      Code: EnumTypeDefinition
    }
  }
}

