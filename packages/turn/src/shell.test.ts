import assert from 'node:assert/strict';
import { once } from 'node:events';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer, type Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { Endpoint, silentLogger, systemClock } from '@atoll/base';
import {
  Attribute,
  decodeMessage,
  longTermKey,
  MessageWriter,
  Method,
  StreamFramer,
  StunMessage,
  userhash,
} from '@atoll/stun';
import {
  encryptAdminPassword,
  formatAddressRange,
  isAdminPassword,
  parseAddressRange,
  probeTurn,
  TurnDatabase,
  TurnServer,
  type TurnServerOptions,
  timeLimitedPassword,
  turnServerDefaults,
  Users,
} from './index.js';
import { decodeProxyHeader } from './proxy-protocol.js';

const HOST = '127.0.0.1';
const WHO = { user: 'ring', password: 'ring', realm: 'ring' };
const KEY = longTermKey('ring', 'ring', 'ring');

function users(settings: Partial<ConstructorParameters<typeof Users>[1]> = {}, database?: TurnDatabase): Users {
  return new Users(
    { clock: systemClock, database },
    {
      realm: 'ring',
      users: [{ name: 'ring', password: 'ring' }],
      usesSecrets: false,
      secrets: [],
      separator: ':',
      ...settings,
    },
  );
}

function open(options: Partial<TurnServerOptions>): Promise<TurnServer> {
  return TurnServer.open(
    { logger: silentLogger, credentials: users() },
    { ...turnServerDefaults('ring'), allowsLoopbackPeers: true, ...options },
  );
}

/** A client on a stream: one request at a time, indications kept. */
class StreamClient {
  readonly socket: Socket;
  readonly indications: StunMessage[] = [];
  private nonce: string | undefined;
  private readonly framer = new StreamFramer();
  private waiting: ((message: StunMessage) => void)[] = [];
  private indicated: (() => void) | undefined;

  constructor(port: number, first?: Buffer) {
    this.socket = connect(port, HOST);
    if (first !== undefined) this.socket.write(first);
    this.socket.on('data', (chunk) => {
      this.framer.push(chunk, (bytes) => {
        const message = decodeMessage(Buffer.from(bytes));
        assert.ok(message instanceof StunMessage);
        if (message.class === 'indication') {
          this.indications.push(message);
          this.indicated?.();
        } else this.waiting.shift()?.(message);
        return true;
      });
    });
  }

  async ask(method: number, fill: (writer: MessageWriter) => void): Promise<StunMessage> {
    for (;;) {
      const writer = new MessageWriter(
        method,
        'request',
        Buffer.from(Array.from({ length: 12 }, () => 256 * Math.random())),
      );
      fill(writer);
      if (this.nonce !== undefined) {
        writer
          .add(Attribute.username, 'ring')
          .add(Attribute.realm, 'ring')
          .add(Attribute.nonce, this.nonce)
          .addIntegrity(KEY);
      }
      const answer = new Promise<StunMessage>((resolve) => this.waiting.push(resolve));
      this.socket.write(writer.finish());
      const message = await answer;
      if (message.get(Attribute.errorCode)?.code !== 401 || this.nonce !== undefined) return message;
      this.nonce = message.get(Attribute.nonce);
    }
  }

  async indication(): Promise<StunMessage> {
    if (this.indications.length === 0) {
      await new Promise<void>((resolve) => {
        this.indicated = resolve;
      });
    }
    return this.indications.shift() as StunMessage;
  }
}

function portOf(server: TurnServer, protocol = 'tcp'): number {
  return server.listeners.find((listener) => listener.protocol === protocol)?.local.port ?? 0;
}

test('a server is probed over UDP, and closes', async () => {
  const server = await open({ udp: [{ address: HOST, port: 0 }] });
  const at = Endpoint.from(HOST, portOf(server, 'udp')) as Endpoint;
  await probeTurn(at, WHO, 10_000);
  await assert.rejects(probeTurn(at, { ...WHO, password: 'wrong' }, 10_000), { code: 'TURN_PROBE_REFUSED' });
  assert.equal(server.allocations, 0);
  assert.equal(server.statistics().counters.allocationsMade, 1);
  await server.close();
  await assert.rejects(probeTurn(at, WHO, 600), { code: 'TURN_NO_ANSWER' });
});

test('RFC 6062: a peer connects and is connected to, bytes flow both ways from one port', async () => {
  await using server = await open({ tcp: [{ address: HOST, port: 0 }] });
  const port = portOf(server);
  const control = new StreamClient(port);
  const made = await control.ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 6));
  const relayed = made.get(Attribute.xorRelayedAddress);
  assert.ok(relayed !== undefined);
  await control.ask(Method.createPermission, (writer) =>
    writer.add(Attribute.xorPeerAddress, Endpoint.from(HOST, 1) as Endpoint),
  );
  // A peer dials the relayed address and speaks at once.
  const dialing = connect(relayed.port, HOST);
  dialing.write('early words');
  const attempt = await control.indication();
  assert.equal(attempt.method, Method.connectionAttempt);
  const bind = async (id: number): Promise<Socket> => {
    const data = new StreamClient(port);
    const answer = await data.ask(Method.connectionBind, (writer) => writer.add(Attribute.connectionId, id));
    assert.equal(answer.class, 'success');
    data.socket.removeAllListeners('data');
    return data.socket;
  };
  const first = await bind(attempt.get(Attribute.connectionId) ?? 0);
  assert.equal(String((await once(first, 'data'))[0]), 'early words');
  first.write('answer');
  assert.equal(String((await once(dialing, 'data'))[0]), 'answer');
  // The client dials a peer, who sees the relayed address.
  const peer = createServer((socket) => socket.write(`from ${socket.remotePort}`)).listen(0, HOST);
  await once(peer, 'listening');
  const { port: peerPort } = peer.address() as { port: number };
  const connected = await control.ask(Method.connect, (writer) =>
    writer.add(Attribute.xorPeerAddress, Endpoint.from(HOST, peerPort) as Endpoint),
  );
  assert.equal(connected.class, 'success', String(connected.get(Attribute.errorCode)?.code));
  const second = await bind(connected.get(Attribute.connectionId) ?? 0);
  const [heard] = await once(second, 'data');
  assert.match(String(heard), /^from \d+$/);
  const closed = once(dialing, 'close');
  control.socket.destroy();
  await closed;
  peer.close();
  second.destroy();
});

test('RFC 6062: within its bandwidth a peer that closes at once loses nothing, and every byte is counted', async () => {
  const realmDefaults = { userQuota: 0, totalQuota: 0, maxBps: 2_000_000 };
  await using server = await open({ tcp: [{ address: HOST, port: 0 }], realmDefaults });
  const control = new StreamClient(portOf(server));
  await control.ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 6));
  const sent = Buffer.alloc(3_000_000, 'atoll');
  const peer = createServer((socket) => socket.once('data', () => socket.end(sent))).listen(0, HOST);
  await once(peer, 'listening');
  const at = Endpoint.from(HOST, (peer.address() as { port: number }).port) as Endpoint;
  const connected = await control.ask(Method.connect, (writer) => writer.add(Attribute.xorPeerAddress, at));
  const data = new StreamClient(portOf(server));
  const id = connected.get(Attribute.connectionId) ?? 0;
  await data.ask(Method.connectionBind, (writer) => writer.add(Attribute.connectionId, id));
  data.socket.removeAllListeners('data');
  const received: Buffer[] = [];
  data.socket.on('data', (chunk) => received.push(chunk));
  data.socket.write('go');
  await once(data.socket, 'end');
  assert.ok(Buffer.concat(received).equals(sent));
  const { peers } = server.statistics().traffic;
  assert.equal(peers.receivedBytes, sent.length);
  control.socket.destroy();
  data.socket.destroy();
  peer.close();
});

test('PROXY protocol 2: the client is who the balancer says, and others are cut off', async () => {
  await using server = await open({ proxiedTcp: [{ address: HOST, port: 0 }] });
  const header = Buffer.from('0d0a0d0a000d0a515549540a2111000ccb007107c0000201c35001bb', 'hex');
  const client = new StreamClient(portOf(server), header);
  const answer = await client.ask(Method.binding, () => {});
  assert.equal(String(answer.get(Attribute.xorMappedAddress)), '203.0.113.7:50000');
  client.socket.destroy();
  const plain = new StreamClient(portOf(server));
  const closed = once(plain.socket, 'close');
  plain.socket.write(new MessageWriter(Method.binding, 'request', Buffer.alloc(12)).finish());
  await closed;
  for (let length = 0; length < header.length; length++) {
    assert.equal(decodeProxyHeader(header.subarray(0, length)), undefined);
  }
  assert.equal(decodeProxyHeader(Buffer.from('GET / HTTP/1.1')), false);
  const local = decodeProxyHeader(Buffer.from('0d0a0d0a000d0a515549540a20000000', 'hex'));
  assert.ok(local !== undefined && local !== false && local.source === undefined);
});

test('a connection that comes to nothing is closed, one with an allocation is kept', async () => {
  await using server = await open({ tcp: [{ address: HOST, port: 0 }], idleMs: 1 });
  const idle = connect(portOf(server), HOST);
  const client = new StreamClient(portOf(server));
  await client.ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 17));
  await once(idle, 'close');
  const answer = await client.ask(Method.refresh, () => {});
  assert.equal(answer.class, 'success');
  client.socket.destroy();
});

test('a taken port is named, and nothing of the server stays open', async () => {
  await using first = await open({ tcp: [{ address: HOST, port: 0 }] });
  const port = portOf(first);
  await assert.rejects(open({ udp: [{ address: HOST, port: 0 }], tcp: [{ address: HOST, port }] }), {
    code: 'TURN_PORT_IN_USE',
  });
});

test('draining waits for the last allocation', async () => {
  await using server = await open({ tcp: [{ address: HOST, port: 0 }] });
  const client = new StreamClient(portOf(server));
  const allocate = (): Promise<StunMessage> =>
    client.ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 17));
  await allocate();
  const drained = server.drain(new AbortController().signal);
  const other = new StreamClient(portOf(server));
  const refused = await other.ask(Method.allocate, (writer) => writer.add(Attribute.requestedTransport, 17));
  assert.equal(refused.get(Attribute.errorCode)?.code, 508);
  await client.ask(Method.refresh, (writer) => writer.add(Attribute.lifetime, 0));
  await drained;
  other.socket.destroy();
  client.socket.destroy();
});

test('time-limited users, several secrets, either order of time and name', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'atoll-turn-'));
  try {
    const database = TurnDatabase.openFile(join(folder, 'turndb'));
    await database.addSecret('ring', 'stored');
    const store = users({ usesSecrets: true, secrets: ['one', 'two'] }, database);
    const later = Math.floor(Date.now() / 1000) + 600;
    for (const name of [`${later}:alice`, `alice:${later}`]) {
      const keys = await store.find(name, 'ring');
      assert.equal(keys.length, 3);
      assert.ok(keys.every(({ account }) => account === 'alice'));
      const md5s = ['one', 'two', 'stored'].map((secret) =>
        longTermKey(name, 'ring', timeLimitedPassword(name, secret)),
      );
      assert.deepEqual(
        keys.map(({ md5 }) => Buffer.from(md5)),
        md5s,
      );
    }
    assert.equal((await store.find(`${later}`, 'ring')).length, 3);
    for (const name of [`${later - 1000}:alice`, 'alice', 'ring', 'alice:bob', '']) {
      assert.deepEqual(await store.find(name, 'ring'), [], name);
    }
    database.close();
  } finally {
    rmSync(folder, { recursive: true });
  }
});

test('users of a store are found by their hash, those too that were added later', async () => {
  const database = TurnDatabase.openFile(':memory:');
  await database.setKey('alice', 'ring', KEY);
  let nowMs = 0;
  const clock = { nowMs: () => nowMs, unixMs: () => nowMs };
  const store = new Users(
    { clock, database },
    { realm: 'ring', users: [{ name: 'ring', password: 'ring' }], usesSecrets: false, secrets: [], separator: ':' },
  );
  const find = async (name: string): Promise<string | undefined> => store.userOf?.(userhash(name, 'ring'), 'ring');
  assert.equal(await find('alice'), 'alice');
  assert.equal(await find('ring'), 'ring');
  await database.setKey('bob', 'ring', KEY);
  assert.equal(await find('bob'), undefined, 'the names are not read for every hash');
  nowMs = 6000;
  assert.equal(await find('bob'), 'bob');
  assert.equal(await store.userOf?.(userhash('alice', 'other'), 'other'), undefined);
  await database.close();
});

test('the user store keeps users, secrets, origins, options, admins and peers', async () => {
  const database = TurnDatabase.openFile(':memory:');
  await database.setKey('alice', 'ring', KEY);
  await database.setKey('alice', 'other', KEY);
  assert.deepEqual(await database.key('alice', 'ring'), KEY);
  assert.equal(await database.key('bob', 'ring'), undefined);
  assert.deepEqual(await database.users('ring'), [{ name: 'alice', realm: 'ring' }]);
  assert.ok(await database.deleteUser('alice', 'ring'));
  assert.ok(!(await database.deleteUser('alice', 'ring')));
  await database.addSecret('ring', 'a');
  await database.addSecret('ring', 'b');
  assert.equal(await database.deleteSecret('ring', 'a'), 1);
  assert.deepEqual(await database.secrets('ring'), ['b']);
  await database.addOrigin('https://a.example', 'ring');
  assert.equal((await database.origins()).get('https://a.example'), 'ring');
  assert.ok(await database.deleteOrigin('https://a.example'));
  await database.setRealmOption('ring', 'max-bps', 1000);
  await database.setRealmOption('ring', 'user-quota', 3);
  await database.setRealmOption('ring', 'max-bps', 0);
  assert.deepEqual((await database.realmOptions()).get('ring'), { userQuota: 3 });
  const range = parseAddressRange('10.0.0.0/24');
  assert.ok(range !== undefined);
  await database.addPeerRange('denied', 'ring', range);
  assert.deepEqual((await database.peerRanges('denied')).map(formatAddressRange), ['10.0.0.0-10.0.0.255']);
  await database.setAdmin('root', '', encryptAdminPassword('secret'));
  assert.deepEqual(await database.admins(), [{ name: 'root', realm: '' }]);
  assert.ok(isAdminPassword('secret', encryptAdminPassword('secret')));
  assert.ok(!isAdminPassword('other', encryptAdminPassword('secret')));
  for (const wrong of ['x', '10.0.0.9-10.0.0.1', '10.0.0.1-::1', '10.0.0.0/33', '10.0.0.0/']) {
    assert.equal(parseAddressRange(wrong), undefined, wrong);
  }
  await database.close();
});
