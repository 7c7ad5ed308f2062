const FRAME_SETTINGS = 0x4;
const FRAME_GOAWAY = 0x7;
/** So that clients of gRPC see UNAVAILABLE, and come again later. */
const REFUSED_STREAM = 0x7;
const HEAD_BYTES = 9;

/** All that a server of HTTP/2 says on a connection that it does not take: empty settings, and that it goes, with a text for people. */
export function goawayBytes(why: string): Uint8Array {
  const text = Buffer.from(why);
  const bytes = Buffer.alloc(2 * HEAD_BYTES + 8 + text.byteLength); // no stream was taken: the last one's number stays 0
  bytes[3] = FRAME_SETTINGS;
  bytes.writeUIntBE(8 + text.byteLength, HEAD_BYTES, 3);
  bytes[HEAD_BYTES + 3] = FRAME_GOAWAY;
  bytes.writeUInt32BE(REFUSED_STREAM, 2 * HEAD_BYTES + 4);
  text.copy(bytes, 2 * HEAD_BYTES + 8);
  return bytes;
}
