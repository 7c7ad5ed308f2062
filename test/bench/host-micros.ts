/** Microseconds of a clock that all processes of the host share. */
export function hostMicros(): number {
  return Number(process.hrtime.bigint() / 1000n);
}
