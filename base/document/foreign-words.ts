/** Words of other CI systems and their likes, and the field that says the same here. */
const FIELD_OF: Readonly<Record<string, string>> = {
  after: 'needs',
  artifacts: 'outputs',
  cmd: 'run',
  command: 'run',
  commands: 'run',
  cwd: 'workingDirectory',
  depends: 'needs',
  depends_on: 'needs',
  dependsOn: 'needs',
  deps: 'needs',
  description: 'about',
  dir: 'workingDirectory',
  environment: 'env',
  exec: 'run',
  extends: 'template',
  fallback_keys: 'fallback',
  files: 'inputs',
  if: 'when',
  input: 'inputs',
  jobs: 'steps',
  needed: 'needs',
  only: 'when',
  out: 'outputs',
  outs: 'outputs',
  output: 'outputs',
  path: 'paths',
  'restore-keys': 'fallback',
  restoreKeys: 'fallback',
  'runs-on': 'labels',
  runs_on: 'labels',
  script: 'run',
  selector: 'labels',
  shell: 'run',
  sources: 'inputs',
  srcs: 'inputs',
  strategy: 'matrix',
  tags: 'labels',
  tasks: 'steps',
  'timeout-minutes': 'timeout',
  timeoutMinutes: 'timeout',
  timeout_minutes: 'timeout',
  uses: 'template',
  variables: 'env',
  vars: 'params',
  'working-directory': 'workingDirectory',
  working_directory: 'workingDirectory',
};

/** Words for which no single field stands. */
const ADVICE: Readonly<Record<string, { readonly needs: string; readonly hint: string }>> = {
  allow_failure: { needs: 'critical', hint: 'Write "critical: false".' },
  'continue-on-error': { needs: 'critical', hint: 'Write "critical: false".' },
  container: { needs: 'labels', hint: 'Steps run on agents, without images: choose those that have the tools with "labels".' },
  cpu: { needs: 'resources', hint: 'Write "resources: {cpu: 2}".' },
  gpu: { needs: 'resources', hint: 'Write "resources: {custom: {gpu: 1}}".' },
  image: { needs: 'labels', hint: 'Steps run on agents, without images: choose those that have the tools with "labels".' },
  mem: { needs: 'resources', hint: 'Write "resources: {memory: 2Gi}".' },
  memory: { needs: 'resources', hint: 'Write "resources: {memory: 2Gi}".' },
  name: { needs: 'run', hint: 'The key is the name of the step; what it is for stands in "about".' },
  paths: { needs: 'salt', hint: 'Directories to keep from run to run stand in "dependencyCache", beside "cache".' },
  retries: { needs: 'retry', hint: 'Write "retry: {exit: 2}" for tries after a failure of the command.' },
  slots: { needs: 'resources', hint: 'Write "resources: {slots: 1}".' },
  stages: { needs: 'steps', hint: 'Steps are listed under "steps"; order comes from "needs".' },
};

/** The field among `known` that a foreign word stands for. */
export function fieldOfForeign(word: string, known: readonly string[]): string | undefined {
  const field = Object.hasOwn(FIELD_OF, word) ? FIELD_OF[word] : undefined;
  return field !== undefined && known.includes(field) ? field : undefined;
}

/** What to write instead of a foreign word, where no single field says the same. */
export function adviceOnForeign(word: string, known: readonly string[]): string | undefined {
  const advice = Object.hasOwn(ADVICE, word) ? ADVICE[word] : undefined;
  return advice !== undefined && known.includes(advice.needs) ? advice.hint : undefined;
}

/** Other names for the types of parameters. */
const WORDS: Readonly<Record<string, string>> = {
  bool: 'boolean',
  enum: 'choice',
  float: 'number',
  int: 'integer',
  str: 'string',
  text: 'string',
};

/** The one of a few words that another word stands for. */
export function wordOfForeign(word: string, known: readonly string[]): string | undefined {
  const own = Object.hasOwn(WORDS, word) ? WORDS[word] : undefined;
  return own !== undefined && known.includes(own) ? own : undefined;
}
