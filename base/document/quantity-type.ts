import { parseCpuMillis, parseDurationMs, parseSizeBytes, QUANTITY_FORMS } from '../quantity.ts';
import { byKind, mapped, number, parsedText, type FieldType } from './field-type.ts';

/** Longest time that may be written: a year and a day. */
const DURATION_MAX_MS = 366 * 86_400_000;

const AMOUNT = '[0-9]{1,15}(\\.[0-9]{1,9})?';

/** `90s`, `1h30m`, `250ms`: whole milliseconds. */
export const duration: FieldType<number> = parsedText({
  what: 'a duration such as 30s, 10m or 1h30m',
  pattern: `^((${AMOUNT}(ms|s|m|h|d))+|0)$`,
  hint: `Write ${QUANTITY_FORMS.duration}.`,
  numberAs: (value) => `"${value}s" for seconds or "${value}m" for minutes`,
  parse: (written) => {
    const value = parseDurationMs(written);
    return value === undefined || value > DURATION_MAX_MS ? { wrong: `"${written}" is longer than a year` } : { value };
  },
});

/** `2Gi`, `500M`, or a number of bytes. */
export const size: FieldType<number> = byKind('a size such as 512Mi or 2Gi', {
  number: number({ min: 0, max: Number.MAX_SAFE_INTEGER }),
  text: parsedText({
    what: 'a size such as 512Mi or 2Gi',
    pattern: `^${AMOUNT}(Ki|Mi|Gi|Ti|k|M|G|T)?$`,
    hint: `Write ${QUANTITY_FORMS.size}.`,
    parse: (written) => {
      const value = parseSizeBytes(written);
      return value === undefined ? { wrong: `"${written}" is too large` } : { value };
    },
  }),
});

/** Cores as a number (`2`, `0.5`) or thousandths of one (`500m`): thousandths. */
export const cpu: FieldType<number> = byKind('cores such as 2, 0.5 or 500m', {
  number: mapped(number({ min: 0, max: 10_000, fraction: true }), (cores) => Math.ceil(cores * 1_000)),
  text: parsedText({
    what: 'cores such as 2, 0.5 or 500m',
    pattern: '^[0-9]{1,8}m?$',
    hint: `Write ${QUANTITY_FORMS.cpu}.`,
    parse: (written) => {
      const value = parseCpuMillis(written);
      return value === undefined ? { wrong: `"${written}" is too much` } : { value };
    },
  }),
});
