import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { eventually, Lan } from '@atoll/testkit';

const ATOLL = fileURLToPath(new URL('../../../packages/cli/bin/atoll.mjs', import.meta.url));
/** A minute, and what a busy machine takes. */
const NOTICED_MS = 90_000;

test('a path that dies without a word is noticed by proxy and client, and the listen goes on when it is back', async () => {
  const state = await mkdtemp(join(tmpdir(), 'atoll-state-'));
  await using lan = await Lan.create({ hosts: 2 });
  const [h, c] = [lan.host(0), lan.host(1)];
  try {
    const hub = h.spawn(process.execPath, [ATOLL, 'up', '--state', state], { LC_ALL: 'C' });
    await hub.waitForOutput(/DHT proxy \(for phones\)/, 60_000);
    const url = `http://${h.address}:8080`;
    const listens = (): number => JSON.parse(h.exec('curl', '--silent', `${url}/node/stats`)).listenCount;
    const put = (id: number): string =>
      h.exec('curl', '--silent', '-d', `{"id":"${id}","data":"","utype":"text/plain"}`, `${url}/key/path`);
    const client = c.spawn(process.execPath, [ATOLL, 'dhtnode', '-v', '--proxyclient', url]);
    await client.waitForOutput(/proxy: connected/, 60_000);
    client.writeLine('l path');
    await eventually(() => listens() === 1, 'the client does not listen');
    put(0xa1);
    await client.waitForOutput(/Value\[id:a1 /);
    lan.cut(c);
    await Promise.all([
      client.waitForOutput(/proxy: disconnected/, NOTICED_MS),
      eventually(() => listens() === 0, 'the proxy still holds the dead listen', NOTICED_MS),
    ]);
    put(0xa2);
    lan.heal(c);
    await client.waitForOutput(/Value\[id:a2 /, NOTICED_MS);
    assert.equal(client.output.match(/Value\[id:a1 /g)?.length, 1, 'told once');
    await client.stop();
    await hub.stop();
  } finally {
    await rm(state, { recursive: true, force: true });
  }
});
