import assert from 'node:assert/strict';
import { createHmac, randomBytes } from 'node:crypto';
import { test } from 'node:test';
import { Attribute, MessageWriter, Method } from './index.js';
import { HEADER_BYTES } from './message.js';

test('the integrity is the HMAC of RFC 2104, for short and long keys and messages', () => {
  for (const hash of ['sha1', 'sha256'] as const) {
    // Around the block of the hash, and around the message up to which the quick way goes.
    for (const keyBytes of [0, 1, 16, 63, 64, 65, 200]) {
      for (const dataBytes of [0, 100, 2020, 2024, 2028, 9000]) {
        const key = randomBytes(keyBytes);
        const writer = new MessageWriter(Method.send, 'request', randomBytes(12));
        writer.add(Attribute.data, randomBytes(dataBytes));
        const end = writer.length;
        if (hash === 'sha1') writer.addIntegrity(key);
        else writer.addIntegritySha256(key);
        const bytes = writer.finish();
        const expected = createHmac(hash, key).update(bytes.subarray(0, end)).digest();
        assert.equal(bytes.readUInt16BE(2), bytes.length - HEADER_BYTES);
        assert.deepEqual(bytes.subarray(end + 4), expected, `${hash}, key ${keyBytes}, data ${dataBytes}`);
      }
    }
  }
});
