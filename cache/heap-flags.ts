import { setFlagsFromString } from 'node:v8';

/**
 * Lets V8 count the buffers that pass through with the heap as a whole. By itself it collects all of the heap for every 64 MiB of them,
 * however little the heap holds: that was a third of the processor time of uploads, and a twelfth of that of fetching 65,000 files.
 */
export function countBuffersWithHeap(): void {
  setFlagsFromString('--external-memory-accounted-in-global-limit');
}

/**
 * For a process that does nothing but pass buffers through: the heap and its buffers may grow to three times what the last collection left,
 * which V8 itself allows up to four; with 64 uploads under way the process takes 450 MiB instead of 350.
 */
export function growHeapFreely(): void {
  setFlagsFromString('--heap-growing-percent=200');
}
