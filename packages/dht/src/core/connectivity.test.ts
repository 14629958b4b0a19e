import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint, systemRandom } from '@atoll/base';
import { InfoHash } from '@atoll/identity';
import { decodeMessage } from '../wire/message.js';
import { MessageEncoder } from '../wire/message-encoder.js';
import { DhtCore } from './dht-core.js';

test('a bootstrap that answers takes its family, and no other, from connecting to connected', () => {
  const bootstrap = Endpoint.from('10.0.0.1', 4222);
  assert.ok(bootstrap);
  const states: string[] = [];
  let asked: Buffer | undefined;
  const core = new DhtCore({
    clock: { nowMs: () => 0, unixMs: () => 0 },
    random: systemRandom,
    send: (bytes) => {
      asked ??= Buffer.from(bytes);
    },
    onConnectivity: (family, now) => states.push(`IPv${family} ${now}`),
  });
  core.pingAddress(bootstrap);
  const ping = decodeMessage(asked ?? Buffer.alloc(0));
  assert.ok(typeof ping === 'object');
  const other = new MessageEncoder({ id: InfoHash.of('other'), networkId: 0, isClient: false, userAgent: 'test' });
  core.receive(Buffer.from(other.replyAlive(ping.tid, bootstrap)), bootstrap);
  assert.deepEqual(states, ['IPv4 connecting', 'IPv4 connected']);
});
