import assert from 'node:assert/strict';
import { closeSync } from 'node:fs';
import { test } from 'node:test';
import { openDatagramGroup } from './datagram-group.js';
import { nativeGroup } from './native-group.js';
import { bindShared } from './shared-sockets.js';

const PLACE = { kind: 'udp', family: 4, address: '127.0.0.1', port: 34_790 } as const;

if (nativeGroup.available) {
  test('a client stays with its socket while another one of the port is taken over anew', async () => {
    const descriptors = bindShared(PLACE, 2);
    const group = openDatagramGroup();
    const got: number[] = [];
    const taken = await Promise.all(
      // Opened here as a second process would: the group closes the descriptors that it is given.
      descriptors.map((descriptor, index) =>
        group.open({ ...PLACE, descriptor }, { receiveRange: () => void got.push(index) }),
      ),
    );
    assert.ok(taken.every(({ local }) => local.port === PLACE.port));
    const client = await group.open({ family: 4, address: '127.0.0.1', port: 0 }, { receiveRange() {} });
    const bytes = Buffer.from('hello');
    for (let count = 1; count <= 20; count++) {
      client.sendRange(bytes, 0, bytes.length, taken[0]?.local ?? client.local);
      while (got.length < count) await new Promise((resolve) => setImmediate(resolve));
    }
    assert.equal(new Set(got).size, 1);
    group.close();
  });

  test('a port that another program has is not shared with it', () => {
    for (const kind of ['udp', 'tcp'] as const) {
      const mine = bindShared({ ...PLACE, kind, port: 34_791 }, 2);
      assert.throws(() => bindShared({ ...PLACE, kind, port: 34_791 }, 2));
      for (const descriptor of mine) closeSync(descriptor);
    }
  });
}
