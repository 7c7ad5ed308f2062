import { RETRIED_CLASSES } from './table.ts';

type RetriedClass = (typeof RETRIED_CLASSES)[number];

/** The retries that the file names; the server's defaults hold for the others. 0 ms stands for the server's default. */
export type RetryPolicyAsWritten = {
  readonly limits: readonly { readonly class: RetriedClass; readonly retries: number }[];
  readonly initialMs: number;
  readonly maxMs: number;
};

type Written = { readonly [K in RetriedClass | 'wait' | 'waitMax']?: number | undefined };

export function retryPolicyOf(written: Written): RetryPolicyAsWritten {
  const limits = RETRIED_CLASSES.flatMap((name) => {
    const retries = written[name];
    return retries === undefined ? [] : [{ class: name, retries }];
  });
  return { limits, initialMs: written.wait ?? 0, maxMs: written.waitMax ?? 0 };
}
