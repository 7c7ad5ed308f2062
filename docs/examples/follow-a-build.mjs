// A CI system in 40 lines: submits one step to Switchyard and follows it, with nothing but the .proto files and a gRPC client.
// Usage: node follow-a-build.mjs ADDRESS PROTO_DIR [TOKEN]      (prints the step's log; exits 0 when the build succeeded)
import { randomUUID } from 'node:crypto';
import grpc from '@grpc/grpc-js';
import protoLoader from '@grpc/proto-loader';

const [address, protoDir, token] = process.argv.slice(2);
const definition = protoLoader.loadSync('switchyard/v1/build.proto', {
  includeDirs: [protoDir],
  longs: String,
  enums: String,
  defaults: true,
});
const { Build } = grpc.loadPackageDefinition(definition).switchyard.v1;
const client = new Build(address, grpc.credentials.createInsecure());
const metadata = new grpc.Metadata();
if (token) metadata.set('authorization', `Bearer ${token}`);
const call = (method, request) =>
  new Promise((resolve, reject) => client[method](request, metadata, (error, response) => (error ? reject(error) : resolve(response))));

// 1. Submit. The key makes a repeat after a lost answer harmless.
const { buildId } = await call('submitBuild', {
  idempotencyKey: randomUUID(),
  name: 'hello from a CI system',
  labels: { branch: 'main' },
  steps: [{ name: 'greet', command: ['sh', '-c', 'echo "hello from $(uname -s)"'], env: { LC_ALL: 'C' }, cacheable: false }],
});

// 2. Follow the build. After a break, watch again from the last cursor: nothing is missed, nothing comes twice.
const follow = async (cursor) => {
  for await (const event of client.watchBuild({ buildId, cursor }, metadata)) {
    cursor = event.cursor;
    if (event.stepEnded) console.error(`${event.step}: ${event.stepEnded.verdict} ${event.stepEnded.message}`);
    if (event.buildEnded) return event.buildEnded.verdict;
  }
  return follow(cursor);
};
const verdict = await follow('');

// 3. The log, from any byte on.
for await (const { data } of client.streamLog({ buildId, step: 'greet', offset: 0, follow: true }, metadata)) process.stdout.write(data);

client.close();
process.exitCode = verdict === 'BUILD_VERDICT_SUCCEEDED' ? 0 : 1;
