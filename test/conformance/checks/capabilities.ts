import { holds, ok, refusedWith, type Area } from '../check.ts';
import { Capabilities, type Session } from '../session.ts';

const cacheOf = ({ capabilities }: Session) => capabilities.cacheCapabilities;

export const capabilities: Area = {
  name: 'Capabilities',
  checks: [
    {
      id: 'capabilities-version-2.0',
      claim: 'A client that speaks 2.0 alone, as Bazel up to 6 does, finds its version in the range',
      async run({ capabilities: { lowApiVersion: low, highApiVersion: high, deprecatedApiVersion: old } }) {
        holds(low !== null && high !== null, 'low_api_version or high_api_version is missing');
        const isTwo = (version: typeof old) => version?.major === 2 && version.minor === 0;
        holds(isTwo(low) || isTwo(old), `the range begins with ${low.major}.${low.minor}, and deprecated_api_version is not 2.0`);
        holds(high.major === 2, `high_api_version is ${high.major}.${high.minor}`);
      },
    },
    {
      id: 'capabilities-sha256',
      claim: 'SHA-256 is among the digest functions',
      async run(session) {
        holds(cacheOf(session)?.digestFunctions.includes('SHA256') === true, 'digest_functions lacks SHA256');
      },
    },
    {
      id: 'moon-batch-limit-zero',
      claim: 'The batch limit is a number that leaves a message below 4 MiB: 0 would be filled to the brim',
      async run(session) {
        const limit = Number(cacheOf(session)?.maxBatchTotalSizeBytes);
        holds(limit > 0 && limit <= 4 * 1024 * 1024, `max_batch_total_size_bytes is ${limit}`);
      },
    },
    {
      id: 'capabilities-both-compressors',
      claim: 'A compressor for ByteStream is one for BatchUpdateBlobs too, since clients ask for both',
      async run(session) {
        const { supportedCompressors = [], supportedBatchUpdateCompressors = [] } = cacheOf(session) ?? {};
        const lacking = supportedCompressors.filter((one) => one !== 'IDENTITY' && !supportedBatchUpdateCompressors.includes(one));
        holds(lacking.length === 0, `supported_batch_update_compressors lacks ${lacking.join(', ')}`);
      },
    },
    {
      id: 'capabilities-update-enabled',
      claim: 'A caller that may write is told that it may update results',
      async run(session) {
        holds(cacheOf(session)?.actionCacheUpdateCapabilities?.updateEnabled === true, 'update_enabled is not set');
      },
    },
    {
      id: 'capabilities-reader',
      claim: 'A caller that may only read is told that it may not update results',
      exempt: (session) => (session.endpoint.readerToken === undefined ? 'no token of a reader was given' : undefined),
      async run(_session, reader) {
        holds(reader !== undefined && cacheOf(reader)?.actionCacheUpdateCapabilities?.updateEnabled === false, 'update_enabled is set');
      },
    },
    {
      id: 'instance-reserved-segment',
      claim: 'An instance name with a reserved segment is refused: names of blobs in it could not be read',
      async run(session) {
        for (const instanceName of ['a/blobs/b', 'uploads']) {
          const answer = await session.unary(Capabilities.service.GetCapabilities, { instanceName });
          refusedWith(answer, ['INVALID_ARGUMENT', 'NOT_FOUND', 'PERMISSION_DENIED'], `"${instanceName}"`);
        }
      },
    },
    {
      id: 'credential-needed',
      claim: 'Without the credential that others need nobody is let in, and is told that this is why',
      exempt: (session) => (session.endpoint.token === undefined ? 'no token was given' : undefined),
      async run(session) {
        using stranger = session.as('no-such-token');
        const answer = await stranger.unary(Capabilities.service.GetCapabilities, { instanceName: session.endpoint.instance });
        refusedWith(answer, ['UNAUTHENTICATED', 'PERMISSION_DENIED'], 'an unknown token');
        ok(await session.unary(Capabilities.service.GetCapabilities, { instanceName: session.endpoint.instance }), 'the right token');
      },
    },
  ],
};
