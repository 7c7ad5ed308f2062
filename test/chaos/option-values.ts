import { parseDurationMs } from '../../base/quantity.ts';
import { Fault } from '../../base/fault.ts';

/** @throws {Fault} CONFIG_INVALID naming the option */
export function countOf(option: string, text: string, min: number, max: number): number {
  const value = Number(text);
  if (!/^[0-9]{1,15}$/.test(text) || value < min || value > max)
    throw badOption(option, `"${text}" must be a whole number from ${min} to ${max}`);
  return value;
}

/** In milliseconds. @throws {Fault} CONFIG_INVALID naming the option */
export function durationOf(option: string, text: string, minMs: number): number {
  const durationMs = parseDurationMs(text);
  if (durationMs === undefined || durationMs < minMs)
    throw badOption(option, `"${text}" must be a duration of at least ${minMs} ms, such as 60s`);
  return durationMs;
}

export function badOption(option: string, fix: string): Fault {
  return new Fault('CONFIG_INVALID', `${option}: ${fix}`, { field: option });
}
