import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { Endpoint, Scheduler } from '@atoll/base';
import {
  decodeDhtAnnouncement,
  decodeDiscovery,
  encodeAnnouncement,
  encodeDhtAnnouncement,
  QUERY,
} from './announcement.js';
import { PeerDiscovery } from './peer-discovery.js';

const recorded: unknown = JSON.parse(
  readFileSync(new URL('../../vectors/peer_discovery.json', import.meta.url), 'utf8'),
);

function findHex(node: unknown, found: string[] = []): string[] {
  if (typeof node === 'object' && node !== null) {
    for (const [key, value] of Object.entries(node)) {
      if (/hex/.test(key) && typeof value === 'string') found.push(value);
      else findHex(value, found);
    }
  }
  return found;
}

test('recorded packets are read and written to the same bytes', () => {
  let announcements = 0;
  let queries = 0;
  for (const text of findHex(recorded)) {
    const packet = decodeDiscovery(Buffer.from(text, 'hex'));
    assert.ok(typeof packet === 'object', text);
    if (packet.kind === 'query') {
      assert.equal(QUERY.toString('hex'), text);
      queries++;
      continue;
    }
    assert.equal(encodeAnnouncement(packet.services).toString('hex'), text);
    const dht = packet.services.get('dht');
    if (dht === undefined) continue;
    const announcement = decodeDhtAnnouncement(dht);
    assert.ok(announcement);
    assert.deepEqual(encodeDhtAnnouncement(announcement), dht);
    announcements++;
  }
  assert.ok(announcements > 0 && queries > 0);
});

interface Station {
  readonly discovery: PeerDiscovery;
  readonly sent: { bytes: Buffer; to: Endpoint | undefined }[];
  readonly scheduler: Scheduler;
}

function station(time: { nowMs: number }): Station {
  const scheduler = new Scheduler();
  const sent: Station['sent'] = [];
  const discovery = new PeerDiscovery({
    clock: { nowMs: () => time.nowMs, unixMs: () => time.nowMs },
    scheduler,
    sendToGroup: (bytes) => sent.push({ bytes, to: undefined }),
    sendTo: (bytes, to) => sent.push({ bytes, to }),
  });
  return { discovery, sent, scheduler };
}

test('asking, announcing and answering go as the protocol says', () => {
  const time = { nowMs: 0 };
  const { discovery, sent, scheduler } = station(time);
  const peer = new Endpoint('\x0a\x00\x00\x02', 8888);
  const found: string[] = [];
  discovery.receive(QUERY, peer);
  assert.equal(sent.length, 0, 'nothing is published yet');
  discovery.discover('dht', (object) => found.push(object.toString('hex')));
  discovery.discover('jami', () => {});
  assert.equal(sent.length, 1, 'a second service asks no second time');
  assert.deepEqual(sent[0]?.bytes, QUERY);
  discovery.publish('dht', Buffer.from([0x01]));
  assert.equal(sent[1]?.bytes.toString('hex'), '81a364687401');
  discovery.receive(QUERY, peer);
  assert.equal(sent[2]?.to, peer, 'answered to the one who asked');
  discovery.receive(Buffer.from('82a364687405a5776865726501', 'hex'), peer);
  assert.deepEqual(found, ['05'], 'unknown services are read over');
  sent.length = 0;
  discovery.connectivityChanged();
  assert.equal(sent.length, 2);
  for (const [atMs, count] of [
    [10_000, 4],
    [29_999, 4],
    [30_000, 6],
    [70_000, 8],
    [500_000, 8],
  ] as const) {
    time.nowMs = atMs;
    scheduler.runDue(atMs);
    assert.equal(sent.length, count, `at ${atMs}`);
  }
});

test('a flood of questions is answered up to a bound, nonsense is counted', () => {
  const time = { nowMs: 0 };
  const { discovery, sent } = station(time);
  discovery.publish('dht', Buffer.from([0x01]));
  for (let i = 0; i < 1000; i++) discovery.receive(QUERY, new Endpoint('\x0a\x00\x00\x02', 8888));
  assert.equal(sent.length, 1 + 64);
  for (const bytes of ['', 'c0', 'a178', '81', 'dfffffffff', '93'])
    discovery.receive(Buffer.from(bytes, 'hex'), new Endpoint('\x0a\x00\x00\x02', 1));
  assert.equal(discovery.dropped, 1000 - 64 + 6);
});
