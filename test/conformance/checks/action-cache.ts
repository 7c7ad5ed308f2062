import type { ActionResult } from '../../../proto/gen/build/bazel/remote/execution/v2/ActionResult.ts';
import type { GetTreeResponse__Output } from '../../../proto/gen/build/bazel/remote/execution/v2/GetTreeResponse.ts';
import { loadProto } from '../../../proto/load.ts';
import { holds, ok, refusedWith, same, type Area } from '../check.ts';
import { ActionCache, blobOf, ContentAddressableStorage, freshBlob, type Blob, type Session } from '../session.ts';

const { service } = ActionCache;
const codecs = loadProto().build.bazel.remote.execution.v2;

const update = async (session: Session, action: Blob, actionResult: ActionResult) =>
  session.unary(service.UpdateActionResult, { instanceName: session.endpoint.instance, actionDigest: action.digest, actionResult });

const get = async (session: Session, action: Blob, inline: { readonly stdout?: boolean; readonly files?: readonly string[] } = {}) =>
  session.unary(service.GetActionResult, {
    instanceName: session.endpoint.instance,
    actionDigest: action.digest,
    inlineStdout: inline.stdout ?? false,
    inlineOutputFiles: [...(inline.files ?? [])],
  });

const fileOf = (path: string, { digest }: Blob) => ({ path, digest });
const readOnly = (session: Session) =>
  session.capabilities.cacheCapabilities?.actionCacheUpdateCapabilities?.updateEnabled === true ? undefined : 'update_enabled is not set';

const results: Area = {
  name: 'ActionCache',
  checks: [
    {
      id: 'action-miss',
      claim: 'A result that nobody stored is NOT_FOUND',
      async run(session) {
        refusedWith(await get(session, freshBlob(100)), ['NOT_FOUND'], 'GetActionResult');
      },
    },
    {
      id: 'moon-ac-key-not-an-action',
      claim: 'A result comes back as it was stored, under a digest of which no action is there: moon has keys of its own',
      exempt: readOnly,
      async run(session) {
        const [action, file] = [freshBlob(100), await session.put(freshBlob(200))];
        const nodeProperties = { unixMode: { value: 0o755 }, mtime: { seconds: '1700000000', nanos: 5 } };
        const stored: ActionResult = {
          outputFiles: [{ ...fileOf('out/a', file), isExecutable: true, nodeProperties }],
          outputSymlinks: [{ path: 'out/link', target: 'a' }],
          exitCode: 7,
          executionMetadata: { worker: 'someone' },
        };
        ok(await update(session, action, stored), 'UpdateActionResult');
        const got = ok(await get(session, action), 'GetActionResult');
        const [output] = got.outputFiles;
        holds(output?.path === 'out/a' && output.isExecutable && output.digest?.hash === file.digest.hash, 'the file is another');
        holds(output.nodeProperties?.unixMode?.value === 0o755, 'node_properties.unix_mode is gone');
        holds(output.nodeProperties.mtime?.seconds === '1700000000', 'node_properties.mtime is gone');
        holds(got.outputSymlinks[0]?.target === 'a', 'the link is gone');
        holds(got.exitCode === 7 && got.executionMetadata?.worker === 'someone', 'exit_code or worker is another');
      },
    },
    {
      id: 'action-incomplete',
      claim: 'A result that names a blob that is not there is NOT_FOUND, and found once the blob is',
      exempt: readOnly,
      async run(session) {
        const [action, file] = [freshBlob(100), freshBlob(200)];
        const answer = await update(session, action, { outputFiles: [fileOf('out', file)] });
        refusedWith(await get(session, action), ['NOT_FOUND'], 'GetActionResult');
        await session.put(file);
        // A server may refuse what is incomplete, or keep it and hide it.
        if (answer.kind === 'error') ok(await update(session, action, { outputFiles: [fileOf('out', file)] }), 'UpdateActionResult again');
        ok(await get(session, action), 'GetActionResult with all there');
      },
    },
    {
      id: 'action-incomplete-tree',
      claim: 'So is one whose output directory has a file that is not there',
      exempt: readOnly,
      async run(session) {
        const [action, file] = [freshBlob(100), freshBlob(200)];
        const tree = blobOf(codecs.Tree.serialize({ root: { files: [{ name: 'f', digest: file.digest }] } }));
        await session.put(tree);
        const result = { outputDirectories: [{ path: 'dir', treeDigest: tree.digest }] };
        const answer = await update(session, action, result);
        refusedWith(await get(session, action), ['NOT_FOUND'], 'GetActionResult');
        await session.put(file);
        if (answer.kind === 'error') ok(await update(session, action, result), 'UpdateActionResult again');
        ok(await get(session, action), 'GetActionResult with all there');
      },
    },
    {
      id: 'action-inline',
      claim: 'What is inlined on request has the bytes of its digest, which stays',
      exempt: readOnly,
      async run(session) {
        const [action, out, file] = [freshBlob(100), await session.put(freshBlob(50)), await session.put(freshBlob(60))];
        ok(await update(session, action, { stdoutDigest: out.digest, outputFiles: [fileOf('f', file)] }), 'UpdateActionResult');
        const got = ok(await get(session, action, { stdout: true, files: ['f'] }), 'GetActionResult');
        holds(got.stdoutDigest?.hash === out.digest.hash, 'stdout_digest is gone');
        if (got.stdoutRaw.byteLength > 0) same(got.stdoutRaw, out.bytes, 'stdout_raw');
        const contents = got.outputFiles[0]?.contents;
        if (contents !== undefined && contents.byteLength > 0) same(contents, file.bytes, 'contents of the file');
      },
    },
    {
      id: 'action-raw-stored',
      claim: 'Standard output that came within a result can be read',
      exempt: readOnly,
      async run(session) {
        const [action, out] = [freshBlob(100), freshBlob(70)];
        ok(await update(session, action, { stdoutRaw: out.bytes }), 'UpdateActionResult');
        const got = ok(await get(session, action, { stdout: true }), 'GetActionResult');
        if (got.stdoutRaw.byteLength > 0) return same(got.stdoutRaw, out.bytes, 'stdout_raw');
        holds(got.stdoutDigest?.hash === out.digest.hash, 'neither stdout_raw nor its digest is there');
        same(ok(await session.read(session.readName(out)), 'Read'), out.bytes, 'the output');
      },
    },
    {
      id: 'unary-never-over-4MiB',
      claim: 'A result with thousands of outputs comes in a message below 4 MiB, or not at all, whatever is to be inlined',
      exempt: readOnly,
      async run(session) {
        const [action, file] = [freshBlob(100), await session.put(freshBlob(4_000))];
        const outputFiles = Array.from({ length: 5_000 }, (_, index) => fileOf(`a/long/path/to/an/output/${index}`, file));
        ok(await update(session, action, { outputFiles }), 'UpdateActionResult');
        const answer = await get(session, action, { files: outputFiles.map(({ path }) => path) });
        if (answer.kind === 'error') refusedWith(answer, ['NOT_FOUND', 'OUT_OF_RANGE'], 'GetActionResult');
        else holds(answer.value.outputFiles.length === 5_000, `only ${answer.value.outputFiles.length} outputs came`);
      },
    },
    {
      id: 'action-malformed',
      claim: 'A result with a malformed digest in it is INVALID_ARGUMENT, and under one as key there is none',
      exempt: readOnly,
      async run(session) {
        const bad = { hash: 'xyz', sizeBytes: '3' };
        refusedWith(await get(session, { bytes: Buffer.alloc(0), digest: bad }), ['INVALID_ARGUMENT', 'NOT_FOUND'], 'the key');
        const answer = await update(session, freshBlob(10), { outputFiles: [{ path: 'f', digest: bad }] });
        refusedWith(answer, ['INVALID_ARGUMENT'], 'an output');
      },
    },
    {
      id: 'action-reader',
      claim: 'A caller that may only read is refused an update, and reads what others stored',
      exempt: (session) => (session.endpoint.readerToken === undefined ? 'no token of a reader was given' : readOnly(session)),
      async run(session, reader) {
        if (reader === undefined) return;
        const [action, other] = [freshBlob(100), freshBlob(100)];
        refusedWith(await update(reader, action, { exitCode: 0 }), ['PERMISSION_DENIED', 'UNAUTHENTICATED'], 'UpdateActionResult');
        ok(await update(session, other, { exitCode: 3 }), 'UpdateActionResult of the writer');
        holds(ok(await get(reader, other), 'GetActionResult of the reader').exitCode === 3, 'exit_code is another');
      },
    },
  ],
};

/** A directory of directories, each of which names the one file. */
async function storedTree(session: Session): Promise<{ readonly root: Blob; readonly children: readonly Blob[] }> {
  const file = await session.put(freshBlob(10));
  const leafOf = (name: string) => blobOf(codecs.Directory.serialize({ files: [{ name, digest: file.digest }] }));
  const children = ['a', 'b', 'c'].map(leafOf);
  const twice = [
    ...children.map((child, index) => ({ name: `d${index}`, digest: child.digest })),
    { name: 'e', digest: children[0]?.digest ?? null },
  ];
  const root = blobOf(codecs.Directory.serialize({ directories: twice }));
  for (const blob of [...children, root]) await session.put(blob);
  return { root, children };
}

const trees: Area = {
  name: 'GetTree',
  checks: [
    {
      id: 'tree-all-directories',
      claim: 'The root and all directories below it come',
      async run(session) {
        const { root, children } = await storedTree(session);
        const directories = distinct(ok(await tree(session, root), 'GetTree'));
        holds(directories.size === children.length + 1, `${directories.size} directories came, not ${children.length + 1}`);
      },
    },
    {
      id: 'tree-pages',
      claim: 'Pages of one directory, asked for with the token of the page before, make the same tree',
      async run(session) {
        const { root } = await storedTree(session);
        const pages = ok(await tree(session, root, { pageSize: 1 }), 'GetTree');
        const [first] = pages;
        holds(first !== undefined && first.directories.length >= 1, 'the first page is empty');
        if (first.nextPageToken === '') return; // a server may give all in one page
        const rest = ok(await tree(session, root, { pageToken: first.nextPageToken }), 'GetTree from a token');
        const { size } = distinct([first, ...rest]);
        holds(size === 4, `${size} directories come in all, not 4`);
        holds(distinct(rest).size < 4, 'the token leads to the beginning');
      },
    },
    {
      id: 'tree-missing',
      claim: 'A root that is not there is NOT_FOUND; another directory that is not is left out',
      async run(session) {
        refusedWith(await tree(session, freshBlob(100)), ['NOT_FOUND'], 'a root that is not there');
        const there = blobOf(codecs.Directory.serialize({ symlinks: [{ name: 'l', target: freshBlob(4).digest.hash }] }));
        const directories = [
          { name: 'gone', digest: freshBlob(40).digest },
          { name: 'there', digest: there.digest },
        ];
        const root = blobOf(codecs.Directory.serialize({ directories }));
        for (const blob of [there, root]) await session.put(blob);
        const found = ok(await tree(session, root), 'GetTree').flatMap((page) => page.directories);
        holds(found.length === 2, `${found.length} directories came, not 2`);
      },
    },
    {
      id: 'tree-bad-token',
      claim: 'A page token that the server did not give is INVALID_ARGUMENT, or left out of account by a server without pages',
      async run(session) {
        const { root } = await storedTree(session);
        const answer = await tree(session, root, { pageToken: 'no token of yours' });
        if (answer.kind === 'ok') holds(distinct(answer.value).size === 4, 'a part of the tree came');
        else refusedWith(answer, ['INVALID_ARGUMENT'], 'GetTree');
      },
    },
  ],
};

/** The directories of pages, in their encoding: the order is open, and one that is in two places may come twice. */
function distinct(pages: readonly GetTreeResponse__Output[]): ReadonlySet<string> {
  return new Set(pages.flatMap(({ directories }) => directories.map((one) => codecs.Directory.serialize(one).toString('base64'))));
}

async function tree(session: Session, root: Blob, page: { readonly pageSize?: number; readonly pageToken?: string } = {}) {
  const request = { instanceName: session.endpoint.instance, rootDigest: root.digest, ...page };
  return session.stream(ContentAddressableStorage.service.GetTree, request);
}

export const actionCache: readonly Area[] = [results, trees];
