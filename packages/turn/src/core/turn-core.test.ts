import assert from 'node:assert/strict';
import { test } from 'node:test';
import {
  Attribute,
  decodeChannelData,
  decodeMessage,
  encodeChannelData,
  hasValidIntegrity,
  hasValidIntegritySha256,
  longTermKey,
  MessageWriter,
  Method,
  nonceFeatures,
  type StunMessage,
  sealAccessToken,
  userhash,
} from '@atoll/stun';
import { codeOf, endpoint, KEY, REALM, TestListener, TestServer, USER } from './test-server.js';

const PEER = endpoint('10.0.0.2', 5000);
const OTHER = endpoint('10.0.0.3', 6000);

test('an allocation is made after the challenge, and its answer repeated for a retransmission', () => {
  const server = new TestServer();
  const client = server.listener.client();
  const first = client.ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 17));
  assert.equal(codeOf(first), 401);
  assert.equal(first?.get(Attribute.realm), REALM);
  const answer = client.allocate();
  assert.equal(codeOf(answer), 0);
  assert.equal(String(answer.get(Attribute.xorRelayedAddress)), '10.0.0.9:50000');
  assert.equal(String(answer.get(Attribute.xorMappedAddress)), '10.0.0.1:40000');
  assert.equal(answer.get(Attribute.lifetime), 600);
  assert.ok(hasValidIntegrity(answer, KEY));
  assert.equal(server.core.allocations, 1);
  assert.equal(codeOf(client.allocate()), 437);
  const bytes = client.sealed(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 17));
  const again = server.listener.client('10.0.0.1', 40_001);
  again.nonce = client.nonce;
  const one = again.give(bytes);
  assert.deepEqual(one?.bytes, again.give(bytes)?.bytes);
  assert.equal(server.core.allocations, 2);
});

test('wrong password, unknown user, stale nonce, nonce of another address', () => {
  const server = new TestServer({ options: { nonceMs: 60_000 } });
  const wrong = server.listener.client('10.0.0.1', 1, longTermKey(USER, REALM, 'wrong'));
  assert.equal(codeOf(wrong.allocate()), 401);
  assert.equal(codeOf(server.listener.client('10.0.0.1', 2, KEY, 'nobody').allocate()), 401);
  const client = server.listener.client();
  client.allocate();
  const { nonce } = client;
  server.pass(61_000);
  assert.equal(codeOf(client.give(client.sealed(Method.refresh))), 438);
  assert.equal(codeOf(client.request(Method.refresh)), 0);
  assert.notEqual(client.nonce, nonce);
  const thief = server.listener.client('10.0.0.7');
  thief.nonce = client.nonce;
  assert.equal(codeOf(thief.give(thief.sealed(Method.refresh))), 438);
});

test('an allocation belongs to its user', () => {
  const server = new TestServer({
    credentials: {
      knowsSha256: false,
      find: (user, realm) => [{ account: user, md5: longTermKey(user, realm, 'x') }],
    },
  });
  const alice = server.listener.client('10.0.0.1', 1, longTermKey('alice', REALM, 'x'), 'alice');
  assert.equal(codeOf(alice.allocate()), 0);
  const mallory = server.listener.client('10.0.0.1', 1, longTermKey('mallory', REALM, 'x'), 'mallory');
  assert.equal(codeOf(mallory.request(Method.refresh)), 441);
});

test('SHA-256 and USERHASH are offered and understood where the store knows them; bidding down is refused', () => {
  const sha256 = longTermKey(USER, REALM, 'ring', 'sha256');
  const server = new TestServer({
    credentials: {
      knowsSha256: true,
      find: (user) => (user === USER ? [{ account: USER, md5: KEY, sha256 }] : []),
      userOf: (hash) => (userhash(USER, REALM).equals(hash) ? USER : undefined),
    },
  });
  const client = server.listener.client();
  const challenge = client.ask(Method.allocate);
  const nonce = challenge?.get(Attribute.nonce) ?? '';
  assert.deepEqual(nonceFeatures(nonce), { passwordAlgorithms: true, usernameAnonymity: true });
  const offered = challenge?.get(Attribute.passwordAlgorithms) ?? [];
  assert.deepEqual(
    offered.map(({ number }) => number),
    [2, 1],
  );
  const request = (algorithms: typeof offered): StunMessage | undefined =>
    client.give(
      new MessageWriter(Method.allocate, 'request', Buffer.alloc(12, 4))
        .add(Attribute.requestedTransport, 17)
        .add(Attribute.userhash, userhash(USER, REALM))
        .add(Attribute.realm, REALM)
        .add(Attribute.nonce, nonce)
        .add(Attribute.passwordAlgorithms, algorithms)
        .add(Attribute.passwordAlgorithm, { number: 2, parameters: Buffer.alloc(0) })
        .addIntegritySha256(sha256)
        .finish(),
    );
  assert.equal(codeOf(request(offered.slice(1))), 400);
  const answer = request(offered);
  assert.equal(codeOf(answer), 0);
  assert.ok(answer !== undefined && hasValidIntegritySha256(answer, sha256));
});

test('data goes through permissions and channels, in both directions', () => {
  const server = new TestServer();
  const client = server.listener.client();
  client.allocate();
  const { relay } = server;
  client.sendTo(PEER, 'too early');
  relay.receive('stranger', PEER);
  assert.deepEqual(relay.sent, []);
  assert.deepEqual(client.received(), []);
  assert.equal(codeOf(client.permit(PEER)), 0);
  client.sendTo(PEER, 'hello', true);
  assert.deepEqual(relay.sent, [{ data: 'hello', to: '10.0.0.2:5000', dontFragment: true }]);
  relay.receive('from another port', endpoint('10.0.0.2', 5001));
  const [indication] = client.received();
  const message = decodeMessage(indication ?? Buffer.alloc(0)) as StunMessage;
  assert.equal(message.method, Method.data);
  assert.equal(String(message.get(Attribute.xorPeerAddress)), '10.0.0.2:5001');
  assert.equal(Buffer.from(message.get(Attribute.data) ?? []).toString(), 'from another port');
  assert.equal(codeOf(client.bind(0x4001, PEER)), 0);
  server.listener.port.receive(encodeChannelData(0x4001, Buffer.from('channel'), false), client.from);
  assert.equal(server.relay.sent.at(-1)?.data, 'channel');
  relay.receive('back', PEER);
  const [frame] = client.received();
  assert.deepEqual(decodeChannelData(frame ?? Buffer.alloc(0)), { channel: 0x4001, data: Buffer.from('back') });
  // Cut frames, unknown channels and foreign clients bring nothing through.
  const before = relay.sent.length;
  const port = server.listener.port;
  port.receive(encodeChannelData(0x4001, Buffer.from('x'), false).subarray(0, 4), client.from);
  port.receive(encodeChannelData(0x4002, Buffer.from('x'), false), client.from);
  port.receive(encodeChannelData(0x4001, Buffer.from('x'), false), endpoint('10.0.0.1', 1));
  assert.equal(relay.sent.length, before);
});

test('permissions last five minutes, channels ten, a channel is not given to another before fifteen', () => {
  const server = new TestServer();
  const client = server.listener.client();
  client.allocate((writer) => writer.add(Attribute.lifetime, 3600));
  client.bind(0x4000, PEER);
  assert.equal(codeOf(client.bind(0x4000, OTHER)), 400);
  assert.equal(codeOf(client.bind(0x4001, PEER)), 400);
  assert.equal(codeOf(client.bind(0x3fff, OTHER)), 400);
  server.pass(299_000);
  server.relay.receive('in time', PEER);
  assert.equal(client.received().length, 1);
  server.pass(2_000);
  server.relay.receive('late', PEER);
  assert.equal(client.received().length, 0);
  assert.equal(codeOf(client.permit(PEER)), 0);
  server.relay.receive('again', PEER);
  assert.ok(decodeChannelData(client.received()[0] ?? Buffer.alloc(0)) !== undefined);
  server.pass(305_000);
  client.permit(PEER);
  server.relay.receive('no channel', PEER);
  assert.equal(decodeChannelData(client.received()[0] ?? Buffer.alloc(0)), undefined);
  assert.equal(codeOf(client.bind(0x4000, OTHER)), 400);
  server.pass(310_000);
  assert.equal(codeOf(client.bind(0x4000, OTHER)), 0);
});

test('lifetimes: shortest ten minutes, longest an hour, end by time, refresh and deletion', () => {
  const server = new TestServer();
  const client = server.listener.client();
  assert.equal(client.allocate((writer) => writer.add(Attribute.lifetime, 10)).get(Attribute.lifetime), 600);
  assert.equal(
    client.request(Method.refresh, (writer) => writer.add(Attribute.lifetime, 99_999)).get(Attribute.lifetime),
    3600,
  );
  server.pass(3_599_000);
  assert.equal(server.core.allocations, 1);
  server.pass(1001);
  assert.equal(server.core.allocations, 0);
  assert.ok(server.relay.isClosed);
  assert.equal(codeOf(client.request(Method.refresh)), 437);
  client.allocate();
  assert.equal(
    client.request(Method.refresh, (writer) => writer.add(Attribute.lifetime, 0)).get(Attribute.lifetime),
    0,
  );
  assert.equal(server.core.allocations, 0);
  assert.equal(server.core.sizes().jobs, 1, 'only the sweep is left');
});

test('what an Allocate may ask for and what not', () => {
  const server = new TestServer();
  let port = 1000;
  const code = (fill: (writer: MessageWriter) => void): number =>
    codeOf(server.listener.client('10.0.0.1', port++).request(Method.allocate, fill));
  const udp = (writer: MessageWriter): MessageWriter => writer.add(Attribute.requestedTransport, 17);
  assert.equal(
    code(() => {}),
    400,
  );
  assert.equal(
    code((writer) => writer.add(Attribute.requestedTransport, 1)),
    442,
  );
  assert.equal(
    code((writer) => writer.add(Attribute.requestedTransport, 6)),
    400,
    'TCP needs a stream',
  );
  assert.equal(
    code((writer) => udp(writer).add(Attribute.requestedAddressFamily, 6)),
    440,
  );
  assert.equal(
    code((writer) => udp(writer).addRaw(0x0017, Buffer.from([9, 0, 0, 0]))),
    440,
  );
  assert.equal(
    code((writer) => udp(writer).add(Attribute.additionalAddressFamily, 4)),
    400,
  );
  assert.equal(
    code((writer) => udp(writer).add(Attribute.reservationToken, Buffer.alloc(8))),
    508,
  );
  assert.equal(
    code((writer) => udp(writer).add(Attribute.reservationToken, Buffer.alloc(8)).add(Attribute.evenPort, true)),
    400,
  );
  assert.equal(
    code((writer) => udp(writer).addRaw(0x7f01, Buffer.alloc(4))),
    420,
  );
  assert.equal(
    code((writer) => udp(writer).add(Attribute.mobilityTicket, Buffer.alloc(0))),
    405,
  );
  server.isFull = true;
  assert.equal(code(udp), 508);
  assert.equal(server.core.allocations, 0);
});

test('EVEN-PORT holds the next port for the owner of the token', () => {
  const server = new TestServer();
  const client = server.listener.client();
  const answer = client.allocate((writer) => writer.add(Attribute.evenPort, true));
  const relayed = answer.get(Attribute.xorRelayedAddress);
  const token = answer.get(Attribute.reservationToken);
  assert.equal((relayed?.port ?? 1) % 2, 0);
  assert.ok(token !== undefined);
  const second = server.listener.client('10.0.0.1', 40_001);
  const next = second.allocate((writer) => writer.add(Attribute.reservationToken, token));
  assert.equal(next.get(Attribute.xorRelayedAddress)?.port, (relayed?.port ?? 0) + 1);
  const third = server.listener.client('10.0.0.1', 40_002);
  const held = third.allocate((writer) => writer.add(Attribute.evenPort, true));
  assert.ok(held.has(Attribute.reservationToken));
  server.pass(31_000);
  assert.equal(server.core.sizes().reservations, 0);
  assert.ok(server.relay.isClosed, 'a reserved port is given back after half a minute');
});

test('IPv6, both families at once, and what is said when one of them cannot be had', () => {
  const both = new TestServer({ families: [4, 6] });
  const client = both.listener.client();
  const answer = client.allocate((writer) => writer.add(Attribute.additionalAddressFamily, 6));
  assert.deepEqual(answer.all(Attribute.xorRelayedAddress)?.map(String), ['10.0.0.9:50000', '[fd00::9]:50001']);
  assert.equal(codeOf(client.permit(PEER, endpoint('fd00::2', 1))), 0);
  const gone = client.request(Method.refresh, (writer) =>
    writer.add(Attribute.lifetime, 0).add(Attribute.requestedAddressFamily, 6),
  );
  assert.equal(codeOf(gone), 0);
  assert.equal(both.core.allocations, 1);
  assert.equal(codeOf(client.permit(endpoint('fd00::2', 1))), 443);
  const only4 = new TestServer();
  const half = only4.listener.client().allocate((writer) => writer.add(Attribute.additionalAddressFamily, 6));
  assert.equal(codeOf(half), 0);
  assert.deepEqual(half.get(Attribute.addressErrorCode)?.code, 440);
  const six = both.listener.client('10.0.0.1', 2);
  six.allocate((writer) => writer.add(Attribute.requestedAddressFamily, 6));
  assert.equal(codeOf(six.permit(PEER)), 443);
  assert.equal(codeOf(six.bind(0x4000, PEER)), 443);
});

test('denied peers: loopback, link-local, multicast, metadata, embedded, the server itself', () => {
  const server = new TestServer({ families: [4, 6] });
  const client = server.listener.client();
  client.allocate((writer) => writer.add(Attribute.additionalAddressFamily, 6));
  for (const host of [
    '127.0.0.1',
    '127.9.9.9',
    '0.0.0.0',
    '169.254.169.254',
    '224.0.0.1',
    '255.255.255.255',
    '100.100.100.200',
    '::1',
    '::',
    'fe80::1',
    'ff02::1',
    'fd00:ec2::254',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '::ffff:127.0.0.1',
  ]) {
    assert.equal(codeOf(client.permit(endpoint(host, 80))), 403, host);
    assert.equal(codeOf(client.bind(0x4000, endpoint(host, 80))), 403, host);
  }
  assert.equal(codeOf(client.permit(PEER, endpoint('127.0.0.1', 1))), 403, 'one denied, none permitted');
  client.sendTo(PEER, 'x');
  assert.deepEqual(server.relays[0]?.sent, []);
  assert.equal(codeOf(client.bind(0x4000, endpoint('10.0.0.9', 3478))), 403);
  client.permit(endpoint('10.0.0.9', 1));
  client.sendTo(endpoint('10.0.0.9', 3478), 'loop');
  assert.deepEqual(server.relays[0]?.sent, []);
});

test('an ICMP error is told as a Data indication with ICMP', () => {
  const server = new TestServer();
  const client = server.listener.client();
  client.allocate();
  server.relay.unreachable(PEER);
  assert.equal(client.received().length, 0);
  client.permit(PEER);
  server.relay.unreachable(PEER);
  const message = decodeMessage(client.received()[0] ?? Buffer.alloc(0)) as StunMessage;
  assert.deepEqual(message.get(Attribute.icmp), { type: 3, code: 3, data: 0 });
});

test('quotas of a user and bandwidth of a session', () => {
  const server = new TestServer({ userQuota: 2, maxBps: 1000 });
  for (const port of [1, 2]) assert.equal(codeOf(server.listener.client('10.0.0.1', port).allocate()), 0);
  const third = server.listener.client('10.0.0.1', 3);
  assert.equal(codeOf(third.allocate()), 486);
  const first = server.listener.client('10.0.0.1', 1);
  first.request(Method.refresh, (writer) => writer.add(Attribute.lifetime, 0));
  assert.equal(codeOf(third.allocate()), 0);
  third.permit(PEER);
  for (let i = 0; i < 30; i++) third.sendTo(PEER, 'x'.repeat(100));
  assert.equal(server.relay.sent.length, 10);
  server.pass(500);
  for (let i = 0; i < 30; i++) third.sendTo(PEER, 'x'.repeat(100));
  assert.equal(server.relay.sent.length, 15);
});

test('mobility: a ticket moves the allocation to another 5-tuple', () => {
  const server = new TestServer({ options: { mobility: true } });
  const client = server.listener.client();
  const ticket = client
    .allocate((writer) => writer.add(Attribute.mobilityTicket, Buffer.alloc(0)))
    .get(Attribute.mobilityTicket);
  assert.ok(ticket !== undefined);
  client.permit(PEER);
  const moved = server.listener.client('10.0.7.7', 7);
  const answer = moved.request(Method.refresh, (writer) => writer.add(Attribute.mobilityTicket, ticket));
  assert.equal(codeOf(answer), 0);
  assert.ok(answer.has(Attribute.mobilityTicket));
  server.relay.receive('hello', PEER);
  assert.equal(moved.received().length, 1);
  assert.equal(codeOf(client.request(Method.refresh)), 437);
  const thief = server.listener.client('10.0.8.8', 8);
  assert.equal(codeOf(thief.request(Method.refresh, (writer) => writer.add(Attribute.mobilityTicket, ticket))), 437);
});

test('OAuth: a token gives a session as long as itself', () => {
  const key = Buffer.alloc(32, 6);
  const server = new TestServer({
    options: { oauthServerName: 'turn.example' },
    credentials: {
      knowsSha256: false,
      find: () => [],
      oauthKey: (id) => (id === 'north' ? { key, realm: undefined, validUntilMs: undefined } : undefined),
    },
  });
  const challenge = server.listener.client().ask(Method.allocate);
  assert.equal(challenge?.get(Attribute.thirdPartyAuthorization), 'turn.example');
  const macKey = Buffer.from('0123456789abcdef0123');
  const token = (timestamp: number): Buffer =>
    sealAccessToken(
      { macKey, timestamp, lifetimeSeconds: 700 },
      { key, nonce: Buffer.alloc(12), serverName: 'turn.example' },
    );
  const allocate = (port: number, sealed: Buffer): StunMessage =>
    server.listener.client('10.0.0.1', port, macKey, 'north').allocate((writer) => {
      writer.add(Attribute.lifetime, 3600).add(Attribute.accessToken, sealed);
    });
  const now = 1_700_001_000;
  assert.equal(allocate(1, token(now)).get(Attribute.lifetime), 705);
  // Later requests of the session may leave the token out, as coturn's clients do.
  const session = server.listener.client('10.0.0.1', 1, macKey, 'north');
  assert.equal(codeOf(session.permit(PEER)), 0);
  const newKey = Buffer.from('ffffffffffffffffffff');
  const renewing = server.listener.client('10.0.0.1', 1, newKey, 'north');
  const renewed = sealAccessToken(
    { macKey: newKey, timestamp: now, lifetimeSeconds: 1200 },
    { key, nonce: Buffer.alloc(12, 1), serverName: 'turn.example' },
  );
  const refreshed = renewing.request(Method.refresh, (writer) =>
    writer.add(Attribute.lifetime, 3600).add(Attribute.accessToken, renewed),
  );
  assert.equal(refreshed.get(Attribute.lifetime), 1205);
  assert.equal(codeOf(renewing.permit(PEER)), 0);
  assert.equal(codeOf(session.permit(PEER)), 401);
  assert.equal(codeOf(server.listener.client('10.0.0.1', 1, KEY, 'north').permit(PEER)), 401);
  assert.equal(codeOf(allocate(2, token(now - 710))), 401);
  assert.equal(codeOf(allocate(3, Buffer.alloc(60))), 401);
});

test('TCP relay: Connect, ConnectionAttempt, ConnectionBind, and what goes wrong', () => {
  const server = new TestServer();
  const tcp = new TestListener(server.core, 'tcp', endpoint('10.0.0.9', 3478));
  const client = tcp.client();
  const answer = client.request(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 6));
  assert.equal(codeOf(answer), 0);
  const [relay] = server.tcpRelays;
  assert.ok(relay !== undefined);
  const accepted = { peer: PEER, close: () => {} };
  assert.equal(relay.handler.accepted(accepted), false, 'no permission');
  client.permit(PEER);
  assert.equal(relay.handler.accepted(accepted), true);
  const attempt = decodeMessage(client.received().at(-1) ?? Buffer.alloc(0)) as StunMessage;
  assert.equal(attempt.method, Method.connectionAttempt);
  const id = attempt.get(Attribute.connectionId) ?? 0;
  const bind = (port: number, wanted: number): number =>
    codeOf(
      tcp
        .client('10.0.0.1', port)
        .request(Method.connectionBind, (writer) => writer.add(Attribute.connectionId, wanted)),
    );
  assert.equal(bind(41_000, id ^ 1), 400);
  assert.equal(bind(41_001, id), 0);
  assert.deepEqual(relay.joined, [{ peer: '10.0.0.2:5000', client: '10.0.0.1:41001' }]);
  relay.meter?.fromClient(700);
  relay.meter?.fromPeer(500);
  const { clients, peers } = server.core.traffic();
  assert.deepEqual(
    [clients.receivedBytes, peers.sentBytes, peers.receivedBytes, clients.sentBytes],
    [700, 700, 500, 500],
  );
  const connect = (peer: typeof PEER): StunMessage =>
    client.request(Method.connect, (writer) => writer.add(Attribute.xorPeerAddress, peer));
  assert.equal(codeOf(connect(PEER)), 446);
  const connected = connect(OTHER);
  assert.equal(codeOf(connected), 0);
  assert.equal(server.core.sizes().connectionIds, 1);
  server.pass(31_000);
  assert.equal(server.core.sizes().connectionIds, 0, 'nobody bound it');
  assert.equal(bind(41_002, connected.get(Attribute.connectionId) ?? 0), 400);
  relay.answersConnect = false;
  assert.equal(codeOf(connect(endpoint('10.0.0.4', 1))), 447);
  assert.equal(codeOf(connect(endpoint('127.0.0.1', 1))), 403);
  assert.equal(codeOf(client.bind(0x4000, PEER)), 403);
  tcp.port.closed(client.from);
  assert.ok(relay.isClosed);
});

test('TCP relay: the connections of a session wait where they go over its bandwidth', () => {
  const server = new TestServer({ maxBps: 1000 });
  const tcp = new TestListener(server.core, 'tcp', endpoint('10.0.0.9', 3478));
  const client = tcp.client();
  client.request(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 6));
  const [relay] = server.tcpRelays;
  const connected = client.request(Method.connect, (writer) => writer.add(Attribute.xorPeerAddress, PEER));
  const id = connected.get(Attribute.connectionId) ?? 0;
  tcp.client('10.0.0.1', 41_000).request(Method.connectionBind, (writer) => writer.add(Attribute.connectionId, id));
  const meter = relay?.meter;
  assert.ok(meter !== undefined);
  assert.equal(meter.fromClient(1000), 0);
  assert.equal(meter.fromClient(500), 500);
  assert.equal(meter.fromPeer(1000), 0, 'each way has its own');
  server.pass(500);
  assert.equal(meter.fromClient(2000), 2000);
  server.pass(60_000);
  assert.equal(meter.fromClient(1000), 0);
});

test('Binding: XOR-MAPPED-ADDRESS alone, MAPPED-ADDRESS for RFC 3489, other addresses where there are two', () => {
  const server = new TestServer();
  const client = server.listener.client();
  const answer = client.ask(Method.binding);
  assert.equal(String(answer?.get(Attribute.xorMappedAddress)), '10.0.0.1:40000');
  assert.equal(answer?.attributes.length, 1);
  const classic = client.give(Buffer.concat([Buffer.from('00010000', 'hex'), Buffer.alloc(16, 3)]));
  assert.equal(String(classic?.get(Attribute.mappedAddress)), '10.0.0.1:40000');
  assert.equal(
    codeOf(
      client.ask(Method.binding, (writer) =>
        writer.add(Attribute.changeRequest, { changesAddress: true, changesPort: false }),
      ),
    ),
    420,
  );
  const other = new TestListener(server.core, 'udp', endpoint('10.0.0.10', 3479));
  const port = new TestListener(server.core, 'udp', endpoint('10.0.0.9', 3479));
  const address = new TestListener(server.core, 'udp', endpoint('10.0.0.10', 3478));
  const full = client.ask(Method.binding);
  assert.equal(String(full?.get(Attribute.otherAddress)), '10.0.0.10:3479');
  assert.equal(String(full?.get(Attribute.responseOrigin)), '10.0.0.9:3478');
  for (const [changesAddress, changesPort, from] of [
    [true, true, other],
    [false, true, port],
    [true, false, address],
  ] as const) {
    client.ask(Method.binding, (writer) => writer.add(Attribute.changeRequest, { changesAddress, changesPort }));
    assert.equal(from.sent.length, 1);
  }
  client.ask(Method.binding, (writer) => writer.add(Attribute.responsePort, 777));
  assert.ok(
    client.ask(Method.binding, (writer) => writer.add(Attribute.padding, Buffer.alloc(100)))?.has(Attribute.padding),
  );
});

test('stun-only, turn-only, secure Binding, alternate servers and draining', () => {
  const stunOnly = new TestServer({ options: { stunOnly: true } }).listener.client();
  assert.equal(stunOnly.ask(Method.allocate), undefined);
  assert.ok(stunOnly.ask(Method.binding) !== undefined);
  assert.equal(new TestServer({ options: { turnOnly: true } }).listener.client().ask(Method.binding), undefined);
  const secure = new TestServer({ options: { securesBinding: true } }).listener.client();
  assert.equal(codeOf(secure.ask(Method.binding)), 401);
  assert.equal(codeOf(secure.request(Method.binding)), 0);
  const elsewhere = new TestServer({ options: { alternateServers: [endpoint('10.0.0.77', 3478)] } }).listener.client();
  const answer = elsewhere.allocate();
  assert.equal(codeOf(answer), 300);
  assert.equal(String(answer.get(Attribute.alternateServer)), '10.0.0.77:3478');
  const draining = new TestServer();
  const client = draining.listener.client();
  client.allocate();
  draining.core.drain();
  assert.equal(codeOf(draining.listener.client('10.0.0.1', 2).allocate()), 508);
  assert.equal(codeOf(client.request(Method.refresh)), 0);
});

test('a slow user store is waited for, and an unknown one answers 500', async () => {
  let answer: (keys: { account: string; md5: Buffer }[]) => void = () => {};
  const server = new TestServer({
    credentials: {
      knowsSha256: false,
      find: () =>
        new Promise((resolve) => {
          answer = resolve;
        }),
    },
  });
  const client = server.listener.client();
  const challenge = client.ask(Method.allocate);
  client.nonce = challenge?.get(Attribute.nonce) ?? '';
  const bytes = client.sealed(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 17));
  assert.equal(client.give(bytes), undefined);
  bytes.fill(0);
  answer([{ account: USER, md5: KEY }]);
  await new Promise((resolve) => setImmediate(resolve));
  assert.equal(server.core.allocations, 1);
});
