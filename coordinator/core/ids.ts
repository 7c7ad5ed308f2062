declare const buildIdBrand: unique symbol;
declare const stepIdBrand: unique symbol;
declare const agentIdBrand: unique symbol;
declare const sessionIdBrand: unique symbol;
declare const leaseTokenBrand: unique symbol;

/** `b-` and 26 lower-case base-32 digits, ordered by time; made by the shell. */
export type BuildId = string & { readonly [buildIdBrand]: true };
/** `<build id>/<step name>`. */
export type StepId = string & { readonly [stepIdBrand]: true };
/** An agent's stable name, chosen by its operator: 1 to 63 characters of `a-z0-9.-`. */
export type AgentId = string & { readonly [agentIdBrand]: true };
/** `<agent id>#<epoch>`: one registration of an agent. The epoch only grows. */
export type SessionId = string & { readonly [sessionIdBrand]: true };
/** The fencing token of one lease: `<nonce of the term>.<counter within the term>`. Compared for equality only. */
export type LeaseToken = string & { readonly [leaseTokenBrand]: true };

const BUILD_ID = /^b-[0-9a-z]{26}$/;
const AGENT_ID = /^[a-z0-9]([a-z0-9.-]{0,61}[a-z0-9])?$/;
/** A step's name: what a person writes in `needs`, plus what `matrix` appends in brackets. */
const STEP_NAME = /^[A-Za-z0-9_]([A-Za-z0-9_.-]{0,126})(\[[A-Za-z0-9_.,=:@+-]{1,127}\])?$/;
const LEASE_TOKEN = /^[0-9a-f]{1,32}\.[1-9][0-9]{0,15}$/;

export function parseBuildId(text: string): BuildId | undefined {
  return BUILD_ID.test(text) ? (text as BuildId) : undefined; // the brand's cast
}

export function parseAgentId(text: string): AgentId | undefined {
  return AGENT_ID.test(text) ? (text as AgentId) : undefined; // the brand's cast
}

export function parseLeaseToken(text: string): LeaseToken | undefined {
  return LEASE_TOKEN.test(text) ? (text as LeaseToken) : undefined; // the brand's cast
}

/** Whether `name` may name a step. */
export function isStepName(name: string): boolean {
  return STEP_NAME.test(name);
}

/** The id of a build's step; `name` must satisfy `isStepName`. */
export function stepIdOf(build: BuildId, name: string): StepId {
  return `${build}/${name}` as StepId; // the brand's cast
}

export function buildOf(step: StepId): BuildId {
  return step.slice(0, step.indexOf('/')) as BuildId; // a StepId starts with its build's id
}

export function nameOf(step: StepId): string {
  return step.slice(step.indexOf('/') + 1);
}

export function sessionIdOf(agent: AgentId, epoch: number): SessionId {
  return `${agent}#${epoch}` as SessionId; // the brand's cast
}

export function leaseTokenOf(nonce: string, counter: number): LeaseToken {
  return `${nonce}.${counter}` as LeaseToken; // the brand's cast
}
