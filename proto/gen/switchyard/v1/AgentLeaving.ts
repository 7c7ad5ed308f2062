// Original file: proto/switchyard/v1/agent.proto


export interface AgentLeaving {
}

export interface AgentLeaving__Output {
}
