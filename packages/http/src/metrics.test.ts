import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Metrics } from './metrics.js';

test('figures are written as Prometheus reads them', () => {
  const metrics = new Metrics();
  const asked = metrics.counter('asked_total', 'Requests.\nAll.', ['method', 'path']);
  asked.with('GET', '/a"b\\').increment();
  asked.with('GET', '/a"b\\').increment(2);
  asked.with('GET', '/a"b\\').increment(-5);
  metrics.gauge('open', 'Open.').set(4);
  metrics.gauge('open', 'Open.').add(-1);
  metrics.gauge('read', 'Read when asked.', [], () => 7);
  const times = metrics.histogram('seconds', 'Times.', [], [0.1, 1]);
  for (const value of [0.05, 0.1, 0.5, 3]) times.observe(value);
  assert.equal(
    metrics.expose(),
    [
      '# HELP asked_total Requests.\\nAll.',
      '# TYPE asked_total counter',
      'asked_total{method="GET",path="/a\\"b\\\\"} 3',
      '# HELP open Open.',
      '# TYPE open gauge',
      'open 3',
      '# HELP read Read when asked.',
      '# TYPE read gauge',
      'read 7',
      '# HELP seconds Times.',
      '# TYPE seconds histogram',
      'seconds_bucket{le="0.1"} 2',
      'seconds_bucket{le="1"} 3',
      'seconds_bucket{le="+Inf"} 4',
      'seconds_sum 3.65',
      'seconds_count 4',
      '',
    ].join('\n'),
  );
  assert.throws(() => metrics.counter('not a name', ''), TypeError);
});

test('strangers cannot make a metric grow without end', () => {
  const metrics = new Metrics();
  const asked = metrics.counter('asked_total', 'Requests.', ['path']);
  for (let i = 0; i < 2000; i++) asked.with(`/${i}`).increment();
  const lines = metrics.expose().split('\n');
  assert.ok(lines.length < 510);
  assert.ok(lines.includes('asked_total{path="other"} 1500'));
});
