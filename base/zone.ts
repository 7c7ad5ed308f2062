/** Ranks of trust, lowest first. A step for a zone runs in that zone or a higher one. */
export const ZONES = ['untrusted', 'trusted', 'production'] as const;

export type Zone = (typeof ZONES)[number];

/** `text` as a zone, or undefined. */
export function parseZone(text: string): Zone | undefined {
  return ZONES.find((zone) => zone === text);
}

/** Whether `zone` is at least as trusted as `floor`. */
export function atLeast(zone: Zone, floor: Zone): boolean {
  return ZONES.indexOf(zone) >= ZONES.indexOf(floor);
}
