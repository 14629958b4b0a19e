import assert from 'node:assert/strict';
import { test } from 'node:test';
import { curve } from '../../design/curve.js';
import { pointOf } from './key-space.js';

test('ids stand on the ring clockwise from the top', () => {
  const rounded = (id: string) => {
    const { x, y } = pointOf(id.padEnd(40, '0'), 100, 50);
    return [Math.round(x), Math.round(y)];
  };
  assert.deepEqual(rounded('00'), [100, 50]);
  assert.deepEqual(rounded('40'), [150, 100]);
  assert.deepEqual(rounded('80'), [100, 150]);
  assert.deepEqual(rounded('c0'), [50, 100]);
});

test('a curve fills its box, with zero at its foot', () => {
  assert.equal(curve([0, 5, 10], 100, 20), 'M0 20L50 11L100 2');
  assert.equal(curve([7], 100, 20), '');
});
