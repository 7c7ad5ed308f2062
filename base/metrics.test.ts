import { describe, expect, it } from 'vitest';
import { byLabel, one, openMetrics } from './metrics.ts';

describe('the metrics of a process', () => {
  it('are in the text form with their help, beside those of the runtime', async () => {
    using metrics = openMetrics();
    metrics.counter('switchyard_test_things_total', 'Things.').add(2, {});
    metrics.histogram('switchyard_test_wait_seconds', 'Waits.', [1, 5]).observe(3, {});
    metrics.read({ name: 'switchyard_test_depth', help: 'Depth.', kind: 'gauge', values: one(() => 7) });
    const text = await metrics.text();
    expect(text).toContain('# HELP switchyard_test_things_total Things.\n# TYPE switchyard_test_things_total counter');
    expect(text).toContain('switchyard_test_things_total 2');
    expect(text).toContain('switchyard_test_wait_seconds_bucket{le="5"} 1');
    expect(text).toContain('switchyard_test_depth 7');
    expect(text).toContain('nodejs_eventloop_lag_seconds');
  });

  it('show what is looked up as it is now, and nothing that has gone', async () => {
    using metrics = openMetrics();
    let table: Record<string, number> = { a: 1, b: 2 };
    metrics.read({ name: 'switchyard_test_size', help: 'S.', kind: 'gauge', labels: ['pool'], values: byLabel('pool', () => table) });
    expect(await metrics.text()).toContain('switchyard_test_size{pool="b"} 2');
    table = { a: 3 };
    const text = await metrics.text();
    expect(text).toContain('switchyard_test_size{pool="a"} 3');
    expect(text).not.toContain('pool="b"');
  });

  it('of two registries know nothing of each other', async () => {
    using first = openMetrics();
    using second = openMetrics();
    first.counter('switchyard_test_things_total', 'Things.');
    expect(await second.text()).not.toContain('switchyard_test_things_total');
  });

  it('have names of one form', () => {
    using metrics = openMetrics();
    expect(() => metrics.counter('things_total', 'T.')).toThrow('switchyard_');
    expect(() => metrics.counter('switchyard_things', 'T.')).toThrow('_total');
    expect(() => metrics.read({ name: 'switchyard_x_total', help: '', kind: 'gauge', values: () => [] })).toThrow('_total');
  });
});
