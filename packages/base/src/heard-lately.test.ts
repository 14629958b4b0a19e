import assert from 'node:assert/strict';
import { test } from 'node:test';
import { HeardLately } from './heard-lately.js';

test('addresses are remembered by when they were heard last, and only so many', () => {
  const heard = new HeardLately();
  for (let i = 0; i < 2000; i++) {
    heard.hear(`a${i}`, i);
    heard.hear('always', i);
  }
  assert.equal(heard.size, 1024);
  assert.equal(heard.heardMs('always'), 1999);
  assert.equal(heard.heardMs('a1999'), 1999);
  assert.equal(heard.heardMs('a0'), undefined);
});
