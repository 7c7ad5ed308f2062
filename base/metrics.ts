import { AggregatorRegistry, collectDefaultMetrics, Counter, Gauge, Histogram, Registry } from 'prom-client';
import { assert } from './assert.ts';

/**
 * The metrics of one process. Names are `switchyard_<part>_<what>_<unit>`, counters end in `_total`; the values of labels
 * come from closed sets or bounded lists, never from builds, steps or agents. `docs/metrics.md` lists them all, which a test
 * holds.
 */
export interface Metrics {
  /** Counts up from 0. */
  counter<L extends string = never>(name: string, help: string, labels?: readonly L[]): MetricCounter<L>;
  /**
   * A number that is looked up when somebody asks: one without labels, or all values of now. Also for sums that another
   * part keeps already; those are counters by their name.
   */
  read<L extends string = never>(spec: ReadSpec<L>): void;
  /** How often and how much: seconds, by buckets. */
  histogram<L extends string = never>(name: string, help: string, buckets: readonly number[], labels?: readonly L[]): MetricHistogram<L>;
  /** All metrics in the text form that Prometheus reads. */
  text(): Promise<string>;
  /** The same as a value, for `textWith` of another process. */
  snapshot(): Promise<Snapshot>;
  /** All metrics of this process and of others. */
  textWith(others: readonly unknown[]): Promise<string>;
  readonly contentType: string;
  /** Every metric of ours with its help; those of the runtime (`process_*`, `nodejs_*`) are left out. */
  describe(): readonly { readonly name: string; readonly kind: string; readonly help: string; readonly labels: readonly string[] }[];
}

export type Snapshot = readonly object[];

export type LabelValues<L extends string> = Readonly<Record<L, string>>;
export type MetricCounter<L extends string> = { add(value: number, labels: LabelValues<L>): void };
export type MetricHistogram<L extends string> = { observe(value: number, labels: LabelValues<L>): void };
export type Reading<L extends string> = { readonly value: number; readonly labels: LabelValues<L> };

export type ReadSpec<L extends string> = {
  readonly name: string;
  readonly help: string;
  readonly kind: 'gauge' | 'counter';
  readonly labels?: readonly L[];
  /** All values of now; what is not among them does not exist any more. */
  readonly values: () => readonly Reading<L>[];
};

/** From a millisecond to ten minutes: the times that a build system has. */
export const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 600] as const;

const NAME = /^switchyard_[a-z][a-z0-9_]*$/;

type Described = { name: string; kind: string; help: string; labels: readonly string[] };

/**
 * A registry of its own, with the runtime's own metrics (event-loop lag, memory, garbage collection, file descriptors). `processName`: for
 * one of several that are told together; it becomes the label `process` of every value.
 */
export function openMetrics(processName?: string): Metrics & Disposable {
  const registry = new Registry();
  if (processName !== undefined) registry.setDefaultLabels({ process: processName });
  const described: Described[] = [];
  collectDefaultMetrics({ register: registry });
  const describe = (name: string, kind: string, help: string, labels: readonly string[]) => {
    assert(NAME.test(name), `metric ${name}: names are switchyard_ and words between underscores`);
    assert((kind === 'counter') === name.endsWith('_total'), `metric ${name}: counters, and they alone, end in _total`);
    described.push({ name, kind, help, labels });
    return { name, help, labelNames: [...labels], registers: [registry] };
  };
  return {
    contentType: registry.contentType,
    text: () => registry.metrics(),
    snapshot: () => registry.getMetricsAsJSON(),
    async textWith(others) {
      const all = [await registry.getMetricsAsJSON(), ...others.filter((other) => Array.isArray(other))];
      return AggregatorRegistry.aggregate(all).metrics(); // nothing is added up: every value has the label of its process
    },
    describe: () => described,
    counter(name, help, labels = []) {
      const counter = new Counter<string>(describe(name, 'counter', help, labels));
      if (labels.length === 0) counter.inc(0);
      return { add: (value, values) => counter.inc(values, value) };
    },
    histogram(name, help, buckets, labels = []) {
      const histogram = new Histogram<string>({ ...describe(name, 'histogram', help, labels), buckets: [...buckets] });
      return { observe: (value, values) => histogram.observe(values, value) };
    },
    read({ name, help, kind, labels = [], values }) {
      const shared = describe(name, kind, help, labels);
      if (kind === 'gauge') {
        const gauge = new Gauge<string>({
          ...shared,
          collect() {
            gauge.reset();
            for (const { value, labels: of } of values()) gauge.set(of, value);
          },
        });
        return;
      }
      const counter = new Counter<string>({
        ...shared,
        collect() {
          counter.reset();
          for (const { value, labels: of } of values()) counter.inc(of, value);
        },
      });
    },
    [Symbol.dispose]: () => registry.clear(),
  };
}

/** The values of a `read` without labels. */
export function one(value: () => number): () => readonly Reading<never>[] {
  return () => [{ value: value(), labels: {} }];
}

/** The values of a `read` with one label, from a table of sums. */
export function byLabel<L extends string>(label: L, table: () => Readonly<Record<string, number>>): () => readonly Reading<L>[] {
  // A record with the one label that L names.
  return () => Object.entries(table()).map(([key, value]) => ({ value, labels: { [label]: key } as LabelValues<L> }));
}
