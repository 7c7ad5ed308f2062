import { loadProto } from '../../../proto/load.ts';
import { holds, ok, refusedWith, type Area } from '../check.ts';
import { blobOf, freshBlob, type Answer, type Blob, type Session } from '../session.ts';

const { Fetch, Push } = loadProto().build.bazel.remote.asset.v1;
const { Directory } = loadProto().build.bazel.remote.execution.v2;

const freshUri = () => `urn:x-conformance:${freshBlob(16).digest.hash}`;
const COMMIT = [{ name: 'vcs.commit', value: 'abc' }];

const pushBlob = async (session: Session, uris: readonly string[], blob: Blob, more: { readonly qualifiers?: typeof COMMIT } = {}) =>
  session.unary(Push.service.PushBlob, {
    instanceName: session.endpoint.instance,
    uris: [...uris],
    blobDigest: blob.digest,
    ...more,
  });

const fetchBlob = async (session: Session, uris: readonly string[], qualifiers: typeof COMMIT = []) =>
  session.unary(Fetch.service.FetchBlob, { instanceName: session.endpoint.instance, uris: [...uris], qualifiers });

type Fetched = { readonly status: { readonly code: number } | null };

/** A miss is told by the status within the answer, or by that of the call: clients take both. */
function isMiss(answer: Answer<Fetched>, what: string): void {
  if (answer.kind === 'error') refusedWith(answer, ['NOT_FOUND'], what);
  else holds(answer.value.status?.code === 5, `${what}: the status is ${answer.value.status?.code}, not NOT_FOUND (5)`);
}

export const remoteAsset: Area = {
  name: 'Remote Asset',
  unlessUnimplemented: async (session) => session.unary(Push.service.PushBlob, { instanceName: session.endpoint.instance }),
  checks: [
    {
      id: 'buildstream-asset-probe',
      claim: 'A request that names nothing is INVALID_ARGUMENT: BuildStream asks so whether the service is there',
      async run(session) {
        const { instance: instanceName } = session.endpoint;
        refusedWith(await session.unary(Fetch.service.FetchBlob, { instanceName }), ['INVALID_ARGUMENT'], 'FetchBlob');
        refusedWith(await session.unary(Push.service.PushBlob, { instanceName }), ['INVALID_ARGUMENT'], 'PushBlob');
      },
    },
    {
      id: 'asset-push-fetch',
      claim: 'A blob that was pushed under several URIs is found under each, by the first that is known',
      async run(session) {
        const [blob, one, two] = [await session.put(freshBlob(100)), freshUri(), freshUri()];
        isMiss(await fetchBlob(session, [one]), 'before the push');
        ok(await pushBlob(session, [one, two], blob), 'PushBlob');
        const found = ok(await fetchBlob(session, [freshUri(), two]), 'FetchBlob');
        holds((found.status?.code ?? 0) === 0 && found.blobDigest?.hash === blob.digest.hash, 'another digest came');
        holds(found.uri === two, `uri is "${found.uri}"`);
      },
    },
    {
      id: 'asset-qualifiers',
      claim: 'Qualifiers tell assets of one URI apart',
      async run(session) {
        const [blob, uri] = [await session.put(freshBlob(100)), freshUri()];
        ok(await pushBlob(session, [uri], blob, { qualifiers: COMMIT }), 'PushBlob');
        isMiss(await fetchBlob(session, [uri], [{ name: 'vcs.commit', value: 'other' }]), 'another commit');
        const found = ok(await fetchBlob(session, [uri], COMMIT), 'FetchBlob');
        holds(found.blobDigest?.hash === blob.digest.hash, 'another digest came');
      },
    },
    {
      id: 'asset-directory',
      claim: 'A directory is found once all below it is there, and is another asset than a blob of that URI',
      async run(session) {
        const [file, uri] = [freshBlob(100), freshUri()];
        const root = blobOf(Directory.serialize({ files: [{ name: 'f', digest: file.digest }] }));
        await session.put(root);
        const { instance: instanceName } = session.endpoint;
        const push = async () => session.unary(Push.service.PushDirectory, { instanceName, uris: [uri], rootDirectoryDigest: root.digest });
        const fetch = async () => session.unary(Fetch.service.FetchDirectory, { instanceName, uris: [uri] });
        await push();
        isMiss(await fetch(), 'while the file is missing');
        await session.put(file);
        ok(await push(), 'PushDirectory');
        const found = ok(await fetch(), 'FetchDirectory');
        holds(found.rootDirectoryDigest?.hash === root.digest.hash, 'another digest came');
        isMiss(await fetchBlob(session, [uri]), 'a blob of that URI');
      },
    },
    {
      id: 'asset-times',
      claim: 'What was pushed before oldest_content_accepted, or is to expire by now, is not found',
      async run(session) {
        const [blob, uri, past] = [await session.put(freshBlob(100)), freshUri(), freshUri()];
        const { instance: instanceName } = session.endpoint;
        ok(await pushBlob(session, [uri], blob), 'PushBlob');
        const request = { instanceName, uris: [uri], oldestContentAccepted: { seconds: '4000000000' } };
        isMiss(await session.unary(Fetch.service.FetchBlob, request), 'what is too old');
        const expired = { instanceName, uris: [past], blobDigest: blob.digest, expireAt: { seconds: '1000000000' } };
        await session.unary(Push.service.PushBlob, expired); // a server may refuse it
        isMiss(await fetchBlob(session, [past]), 'what has expired');
      },
    },
    {
      id: 'asset-reader',
      claim: 'A caller that may only read pushes nothing, and finds what others pushed',
      exempt: (session) => (session.endpoint.readerToken === undefined ? 'no token of a reader was given' : undefined),
      async run(session, reader) {
        if (reader === undefined) return;
        const [blob, uri] = [await session.put(freshBlob(100)), freshUri()];
        refusedWith(await pushBlob(reader, [uri], blob), ['PERMISSION_DENIED', 'UNAUTHENTICATED'], 'PushBlob');
        ok(await pushBlob(session, [uri], blob), 'PushBlob of the writer');
        const found = ok(await fetchBlob(reader, [uri]), 'FetchBlob of the reader');
        holds(found.blobDigest?.hash === blob.digest.hash, 'another digest came');
      },
    },
  ],
};
