import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Attribute, encodeChannelData, longTermKey, MessageWriter, Method } from '@atoll/stun';
import fc from 'fast-check';
import { LIMITS } from './limits.js';
import { codeOf, endpoint, KEY, TestListener, TestServer, USER } from './test-server.js';
import { DEFAULT_UNAUTHORIZED_LIMIT } from './unauthorized-limit.js';

const PEER = endpoint('10.0.0.2', 5000);

function address(n: number): string {
  return `10.${1 + ((n >> 16) & 127)}.${(n >> 8) & 255}.${n & 255}`;
}

test('a flood of allocations ends at the quota, and its places come back', () => {
  const server = new TestServer({ userQuota: 50 });
  let refused = 0;
  for (let port = 1; port <= 300; port++) {
    if (codeOf(server.listener.client('10.0.0.1', port).allocate()) === 486) refused++;
  }
  assert.equal(server.core.allocations, 50);
  assert.equal(refused, 250);
  server.pass(601_000);
  assert.equal(server.core.allocations, 0);
  assert.ok(server.relays.every((relay) => relay.isClosed));
  assert.equal(server.core.sizes().jobs, 1);
  assert.equal(codeOf(server.listener.client('10.0.0.1', 9).allocate()), 0);
});

test('challenges to one address are bounded, whoever writes it on his datagrams; others are served', () => {
  const server = new TestServer();
  const victim = server.listener.client('10.0.0.66', 1);
  let answers = 0;
  for (let n = 0; n < 5000; n++) if (victim.ask(Method.allocate) !== undefined) answers++;
  assert.equal(answers, DEFAULT_UNAUTHORIZED_LIMIT.challengeBurst);
  assert.ok(server.core.counters.challengesDropped >= 2999);
  assert.equal(codeOf(server.listener.client().allocate()), 0);
  server.pass(10_000);
  assert.ok(victim.ask(Method.allocate) !== undefined, 'later it is answered again');
});

test('passwords cannot be tried for ever', () => {
  const server = new TestServer();
  const thief = server.listener.client('10.0.0.66', 1, longTermKey(USER, 'ring', 'guess'));
  thief.nonce = thief.ask(Method.allocate)?.get(Attribute.nonce) ?? '';
  let answers = 0;
  for (let n = 0; n < 1000; n++) if (thief.give(thief.sealed(Method.allocate)) !== undefined) answers++;
  assert.equal(answers, DEFAULT_UNAUTHORIZED_LIMIT.failureBurst);
  assert.equal(server.core.allocations, 0);
  assert.equal(codeOf(server.listener.client().allocate()), 0);
});

test('spoofed sources fill a table of bounded size', () => {
  const server = new TestServer();
  const port = server.listener.port;
  const request = new MessageWriter(Method.allocate, 'request', Buffer.alloc(12, 1)).finish();
  for (let n = 0; n < LIMITS.countedSources + 5000; n++) {
    port.receive(request, endpoint(address(n), 1000));
    server.listener.sent.length = 0;
  }
  assert.equal(server.core.sizes().countedSources, LIMITS.countedSources);
  const six = new TestServer();
  for (let n = 0; n < 1000; n++) six.listener.port.receive(request, endpoint(`2001:db8::${n.toString(16)}`, 1));
  assert.equal(six.core.sizes().countedSources, 1, 'one subnet is one source');
});

test('an answer that nobody proved himself for is short, and indications are never answered', () => {
  const server = new TestServer({ options: { oauthServerName: 'turn.example.org', fingerprint: true } });
  const client = server.listener.client();
  const asked = new MessageWriter(Method.allocate, 'request', Buffer.alloc(12, 1)).finish();
  const answer = client.give(asked);
  assert.ok(answer !== undefined && answer.bytes.length <= 200, `${answer?.bytes.length} bytes`);
  const binding = client.ask(Method.binding);
  assert.ok(binding !== undefined && binding.bytes.length <= 40);
  for (const method of [Method.binding, Method.allocate, Method.send, Method.data]) {
    const bytes = new MessageWriter(method, 'indication', Buffer.alloc(12, 1)).finish();
    assert.equal(client.give(bytes), undefined);
  }
  for (const of of ['success', 'error'] as const) {
    assert.equal(client.give(new MessageWriter(Method.allocate, of, Buffer.alloc(12, 1)).finish()), undefined);
  }
});

test('permissions, channels and peers of a request are bounded', () => {
  const server = new TestServer();
  const client = server.listener.client();
  client.allocate((writer) => writer.add(Attribute.lifetime, 3600));
  let last = 0;
  for (let n = 0; last === 0; n += 32) {
    last = codeOf(client.permit(...Array.from({ length: 32 }, (_, i) => endpoint(address(n + i), 1))));
    assert.ok(n <= LIMITS.permissionsPerAllocation);
  }
  assert.equal(last, 508);
  const many = Array.from({ length: LIMITS.peersPerRequest + 1 }, (_, i) => endpoint(address(i), 1));
  assert.equal(codeOf(client.permit(...many)), 400);
  server.pass(301_000);
  let bound = 0;
  for (; bound <= LIMITS.channelsPerAllocation; bound++) {
    last = codeOf(client.bind(0x4000 + bound, endpoint('10.0.0.2', 1 + bound)));
    if (last !== 0) break;
  }
  assert.equal(last, 508);
  assert.equal(bound, LIMITS.channelsPerAllocation);
});

test('reservations are bounded and end by themselves', () => {
  const server = new TestServer();
  let code = 0;
  for (let port = 1; code === 0; port++) {
    const client = server.listener.client('10.0.0.1', port);
    code = codeOf(client.allocate((writer) => writer.add(Attribute.evenPort, true)));
    assert.ok(port <= LIMITS.reservations + 1);
  }
  assert.equal(code, 508);
  server.pass(31_000);
  assert.equal(server.core.sizes().reservations, 0);
});

test('data for denied peers never leaves, by no way', () => {
  const server = new TestServer();
  const client = server.listener.client();
  client.allocate();
  for (const host of ['127.0.0.1', '169.254.169.254', '224.0.0.1', '0.0.0.0']) {
    const peer = endpoint(host, 80);
    client.permit(peer);
    client.bind(0x4005, peer);
    client.sendTo(peer, 'secret');
    server.listener.port.receive(encodeChannelData(0x4005, Buffer.from('secret'), false), client.from);
  }
  assert.deepEqual(server.relay.sent, []);
});

test('a client that reads too slowly loses data, not the server its memory', () => {
  const server = new TestServer();
  const tcp = new TestListener(server.core, 'tcp', endpoint('10.0.0.9', 3478));
  const client = tcp.client();
  client.allocate();
  client.bind(0x4000, PEER);
  tcp.waiting = LIMITS.waitingBytesPerClient + 1;
  server.relay.receive('too much', PEER);
  assert.equal(client.received().length, 0);
  assert.equal(server.core.counters.droppedSlowClient, 1);
  tcp.waiting = 0;
  server.relay.receive('again', PEER);
  assert.equal(client.received().length, 1);
});

test('whatever arrives, the core does not throw, answers nothing longer than it may, and honest clients go on', () => {
  const server = new TestServer({ options: { mobility: true } });
  const honest = server.listener.client('10.0.0.1', 1);
  honest.allocate((writer) => writer.add(Attribute.lifetime, 3600));
  honest.permit(PEER);
  const types = Object.values(Attribute).map(({ type }) => type);
  const attribute = fc.tuple(fc.constantFrom(...types, 0x7abc), fc.uint8Array({ maxLength: 40 }));
  const method = fc.constantFrom(...Object.values(Method));
  const of = fc.constantFrom('request', 'indication', 'success', 'error');
  fc.assert(
    fc.property(
      method,
      of,
      fc.array(attribute, { maxLength: 8 }),
      fc.boolean(),
      fc.nat(400),
      (kind, which, list, isSealed, cut) => {
        const stranger = server.listener.client('10.9.9.9', 7);
        const fill = (writer: MessageWriter): void => {
          for (const [type, value] of list) writer.addRaw(type, value);
        };
        let bytes: Buffer;
        if (isSealed) {
          stranger.nonce = stranger.ask(Method.allocate)?.get(Attribute.nonce) ?? '';
          bytes = stranger.sealed(kind, fill);
        } else {
          const writer = new MessageWriter(kind, which, Buffer.alloc(12, 3));
          fill(writer);
          bytes = Buffer.from(writer.finish());
        }
        for (const part of [bytes, bytes.subarray(0, cut)]) {
          server.listener.port.receive(part, stranger.from);
          for (const answer of stranger.received()) assert.ok(answer.length <= LIMITS.unauthenticatedAnswerBytes);
        }
      },
    ),
    { numRuns: 3000 },
  );
  server.relays[0]?.receive('still here', PEER);
  assert.equal(honest.received().length, 1);
  assert.equal(codeOf(server.listener.client('10.0.0.1', 3, KEY).allocate()), 0);
});
