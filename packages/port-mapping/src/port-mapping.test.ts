import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { test } from 'node:test';
import { addressKind } from './core/address-kind.js';
import { Epoch } from './core/epoch.js';
import { fromNetstat, fromProc } from './default-gateway.js';
import { exchange } from './http-exchange.js';
import { hopIn } from './way-outside.js';

test('addresses tell who comes behind a router', () => {
  const kinds = ['11.22.33.1', '192.168.1.1', '172.31.0.1', '172.32.0.1', '100.64.0.1', '100.128.0.1', '0.0.0.0', ''];
  assert.deepEqual(kinds.map(addressKind), [
    'public',
    'private',
    'private',
    'public',
    'carrier',
    'public',
    'none',
    'none',
  ]);
});

test('an epoch that goes back, or too fast or too slow, is a router that started anew (RFC 6887 8.5)', () => {
  const of = (epoch: number, nowMs: number): boolean => {
    const clock = new Epoch();
    clock.isContinued(1000, 0);
    return clock.isContinued(epoch, nowMs);
  };
  assert.deepEqual([of(1100, 100_000), of(1094, 100_000), of(999, 0)], [true, true, true]);
  assert.deepEqual([of(5, 100_000), of(1200, 100_000), of(1050, 100_000)], [false, false, false]);
});

test('the default gateway is read as each system tells it', () => {
  const proc = 'Iface\tDestination\tGateway\tFlags\neth0\t00000000\t0100090A\t0003\t0\t0\t100\t00000000\n';
  assert.equal(fromProc(proc), '10.9.0.1');
  assert.equal(fromProc('eth0\t00000000\t00000000\t0001\t0\t0\t0\t00000000\n'), undefined, 'a link without a router');
  assert.equal(fromNetstat('default            192.168.1.1        UGScg   en0\n'), '192.168.1.1');
  assert.equal(fromNetstat('  0.0.0.0   0.0.0.0   192.168.1.254   192.168.1.7   25\n'), '192.168.1.254');
});

test('the second hop is read as each system tells it', () => {
  assert.equal(hopIn('From 192.168.7.1 icmp_seq=1 Time to live exceeded'), '192.168.7.1');
  assert.equal(hopIn('36 bytes from 192.168.7.1: Time to live exceeded'), '192.168.7.1');
  assert.equal(hopIn('Réponse de 192.168.7.1 : Durée de vie TTL expirée lors du transit.'), '192.168.7.1');
  assert.equal(hopIn('PING 192.0.2.1 (192.0.2.1) 56(84) bytes of data.\n1 packets transmitted, 0 received'), undefined);
});

test('an answer that is too long is not taken, and a redirect not followed', async () => {
  const server = createServer((request, response) => {
    if (request.url === '/long') response.end('x'.repeat(100_000));
    else response.writeHead(302, { Location: '/long' }).end();
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  try {
    await assert.rejects(exchange(new URL(`${base}/long`), { method: 'GET' }), /too long/);
    assert.equal((await exchange(new URL(`${base}/away`), { method: 'GET' })).status, 302);
  } finally {
    server.close();
  }
});
