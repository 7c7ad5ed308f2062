/** Largest message that any client takes without being told otherwise. */
export const CLIENT_MESSAGE_BYTES = 4 * 1024 * 1024;

/** Most bytes of blobs in one batch. The rest of the 4 MiB is for digests and framing of several thousand tiny ones. */
export const BATCH_BYTES_MAX = CLIENT_MESSAGE_BYTES - 512 * 1024;

/** Blobs of one batch: an answer that says of each of them that it failed has less than 4 MiB. */
export const BATCH_COUNT_MAX = 40_000;

/** What a blob costs in a message beyond its bytes. */
export const BLOB_OVERHEAD_BYTES = 100;

/** Digests of one FindMissingBlobs: as many as fit into an answer if all are missing. */
export const DIGESTS_MAX = 50_000;

/** Bytes of batches that are worked on at once, over all callers. */
export const IN_FLIGHT_BYTES = 64 * 1024 * 1024;

/** Pieces of ByteStream.Read. */
export const PIECE_BYTES = 1024 * 1024;
