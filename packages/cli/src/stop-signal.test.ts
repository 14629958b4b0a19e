import assert from 'node:assert/strict';
import { test } from 'node:test';
import { stopSignal } from './stop-signal.js';

test('from the first SIGTERM on there is a listener: another one does not end a process that stops', async () => {
  const before = new Set(process.listeners('SIGTERM'));
  const stopped = stopSignal();
  try {
    process.emit('SIGTERM');
    assert.ok(process.listeners('SIGTERM').some((listener) => !before.has(listener)));
    await stopped;
    assert.ok(process.listeners('SIGTERM').some((listener) => !before.has(listener)));
    assert.equal(process.listenerCount('SIGINT'), 0, 'a second Ctrl-C ends it at once');
  } finally {
    for (const listener of process.listeners('SIGTERM'))
      if (!before.has(listener)) process.removeListener('SIGTERM', listener);
  }
});
