/** A relay to an address that makes everything later by so many milliseconds each way; ends with its standard input. */
import { startRelay } from '../../fixtures/relay.ts';

const [target = '', delayMs = '0'] = process.argv.slice(2);
/** What may be under way: 40 ms at a gigabyte a second. */
const WAITING_BYTES = 64 * 1024 * 1024;

const relay = await startRelay(target, '127.0.0.1:0', WAITING_BYTES);
relay.delay(Number(delayMs));
process.stdout.write(`${JSON.stringify({ ready: true, address: relay.address })}\n`);
process.stdin.resume().once('end', () => process.exit(0));
