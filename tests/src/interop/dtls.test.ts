import assert from 'node:assert/strict';
import { type ChildProcessWithoutNullStreams, execFileSync, spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, test } from 'node:test';
import { type Endpoint, Scheduler, systemClock } from '@atoll/base';
import {
  createDtlsContext,
  type DtlsContextOptions,
  DtlsEndpoint,
  type DtlsEndpointOptions,
  type DtlsListener,
  type DtlsServerOptions,
  type DtlsSession,
  openDtlsListener,
} from '@atoll/dtls';
import { type DatagramSocket, openDatagramSocket } from '@atoll/udp';

const LIMIT_MS = 60_000;
const folder = mkdtempSync(join(tmpdir(), 'atoll-dtls-'));
after(() => rmSync(folder, { recursive: true }));

type Kind = 'rsa-2048' | 'rsa-4096' | 'p-256' | 'p-384';
const ALGORITHMS: Readonly<Record<Kind, readonly string[]>> = {
  'rsa-2048': ['rsa:2048'],
  'rsa-4096': ['rsa:4096'],
  'p-256': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-256'],
  'p-384': ['ec', '-pkeyopt', 'ec_paramgen_curve:P-384'],
};
const KINDS = Object.keys(ALGORITHMS) as Kind[];
const certificateFile = (kind: Kind): string => join(folder, `${kind}.crt`);
const keyFile = (kind: Kind): string => join(folder, `${kind}.key`);
for (const kind of KINDS) {
  const files = ['-keyout', keyFile(kind), '-out', certificateFile(kind)];
  const args = [
    'req',
    '-x509',
    '-nodes',
    '-newkey',
    ...ALGORITHMS[kind],
    ...files,
    '-days',
    '30',
    '-subj',
    '/CN=localhost',
  ];
  execFileSync('openssl', args, { stdio: 'ignore' });
}

function contextOf(kind: Kind, more: DtlsContextOptions = {}) {
  const certificate = readFileSync(certificateFile(kind), 'utf8');
  const privateKey = readFileSync(keyFile(kind), 'utf8');
  return createDtlsContext({ certificates: [{ certificate, privateKey }], ...more });
}

async function until(isMet: () => boolean, what: () => string): Promise<void> {
  const end = performance.now() + LIMIT_MS;
  while (!isMet()) {
    if (performance.now() > end) throw new Error(`not in time: ${what()}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** A program of OpenSSL or GnuTLS, spoken to through its standard input and output. */
class Program implements AsyncDisposable {
  output = '';
  private readonly child: ChildProcessWithoutNullStreams;
  private readonly ended: Promise<void>;
  private isEnded = false;

  constructor(command: string, args: readonly string[]) {
    this.child = spawn(command, args);
    const take = (chunk: Buffer): void => {
      this.output += chunk.toString('latin1');
    };
    this.child.stdout.on('data', take);
    this.child.stderr.on('data', take);
    this.child.stdin.on('error', () => {});
    this.ended = new Promise((resolve) =>
      this.child.on('close', () => {
        this.isEnded = true;
        resolve();
      }),
    );
  }

  say(line: string): void {
    this.child.stdin.write(`${line}\n`);
  }

  async hears(pattern: RegExp): Promise<RegExpExecArray> {
    await until(
      () => pattern.test(this.output) || this.isEnded,
      () => `${this.child.spawnargs.join(' ')}: ${pattern}\n${this.output}`,
    );
    const found = pattern.exec(this.output);
    assert.ok(found, `${this.child.spawnargs.join(' ')} ended without ${pattern}:\n${this.output}`);
    return found;
  }

  get hasEnded(): Promise<void> {
    return this.ended;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.child.kill('SIGKILL');
    await this.ended;
  }
}

interface Echo extends AsyncDisposable {
  readonly listener: DtlsListener;
  readonly sessions: DtlsSession[];
  readonly failures: string[];
}

async function echoServer(options: DtlsServerOptions): Promise<Echo> {
  const sessions: DtlsSession[] = [];
  const failures: string[] = [];
  const datagram = { family: 4, address: '127.0.0.1', port: 0, receiveBufferBytes: 4 << 20 } as const;
  const listener = await openDtlsListener(
    { ...options, datagram },
    {
      opened: (session) => sessions.push(session),
      receive: (bytes, from) => listener.send(bytes, from),
      handshakeFailed: (_peer, why, detail) => failures.push(`${why} ${detail}`),
    },
  );
  return { listener, sessions, failures, [Symbol.asyncDispose]: () => listener.close() };
}

interface Client extends AsyncDisposable {
  readonly endpoint: DtlsEndpoint;
  readonly got: string[];
  end: string | undefined;
}

async function connect(to: Endpoint, options: Partial<DtlsEndpointOptions> = {}): Promise<Client> {
  const got: string[] = [];
  const scheduler = new Scheduler();
  const timer = setInterval(() => scheduler.runDue(systemClock.nowMs()), 5);
  const socket: DatagramSocket = await openDatagramSocket(
    { family: 4, address: '127.0.0.1', port: 0, implementation: 'dgram' },
    { receive: (bytes) => endpoint.receive(bytes) },
  );
  const endpoint = new DtlsEndpoint(
    { clock: systemClock, scheduler, send: (bytes) => socket.send(bytes, to) },
    { context: createDtlsContext({}), role: 'client', ...options },
    {
      receive: (bytes) => got.push(bytes.toString('latin1')),
      closed: (why, detail) => {
        client.end = `${why} ${detail}`;
      },
    },
  );
  const client: Client = {
    endpoint,
    got,
    end: undefined,
    async [Symbol.asyncDispose]() {
      endpoint.close();
      clearInterval(timer);
      await socket.close();
    },
  };
  endpoint.start();
  return client;
}

async function freePort(): Promise<number> {
  await using socket = await openDatagramSocket({ family: 4, address: '127.0.0.1', port: 0 }, { receive() {} });
  return socket.local.port;
}

const PEERS = {
  openssl: {
    client: (port: number, mtu: number, more: readonly string[] = []) =>
      new Program('openssl', [
        's_client',
        '-dtls1_2',
        '-connect',
        `127.0.0.1:${port}`,
        '-mtu',
        `${mtu}`,
        '-timeout',
        ...more,
      ]),
    server: (port: number, mtu: number, kind: Kind) =>
      new Program('openssl', [
        ...['s_server', '-dtls1_2', '-accept', `127.0.0.1:${port}`, '-mtu', `${mtu}`, '-timeout'],
        ...['-cert', certificateFile(kind), '-key', keyFile(kind)],
      ]),
    isListening: /ACCEPT/,
    echoes: false,
  },
  gnutls: {
    client: (port: number, mtu: number, more: readonly string[] = []) =>
      new Program('gnutls-cli', ['--udp', '--insecure', '--mtu', `${mtu}`, '-p', `${port}`, ...more, '127.0.0.1']),
    server: (port: number, mtu: number, kind: Kind) =>
      new Program('gnutls-serv', [
        ...['--udp', '--echo', '--mtu', `${mtu}`, '-p', `${port}`],
        ...['--x509certfile', certificateFile(kind), '--x509keyfile', keyFile(kind), '--disable-client-cert'],
      ]),
    isListening: /listening on IPv4 .*done/,
    echoes: true,
  },
} as const;
type PeerName = keyof typeof PEERS;

for (const name of ['openssl', 'gnutls'] as PeerName[]) {
  const peer = PEERS[name];
  for (const kind of KINDS) {
    for (const mtu of [500, 1200]) {
      test(`${name} as client, ${kind} certificate, MTU ${mtu}`, async () => {
        await using echo = await echoServer({ context: contextOf(kind), mtuBytes: mtu });
        await using program = peer.client(echo.listener.local.port, mtu);
        await until(
          () => echo.sessions.length === 1,
          () => `${program.output} ${echo.failures}`,
        );
        program.say('there and back');
        await until(
          () => program.output.split('there and back').length > 1,
          () => program.output,
        );
        assert.equal(echo.sessions[0]?.facts()?.version, 'DTLSv1.2');
        assert.ok(echo.sessions[0]?.facts()?.hasExtendedMasterSecret);
        await echo.listener.close();
        if (name === 'openssl') await program.hasEnded;
      });

      test(`${name} as server, ${kind} certificate, MTU ${mtu}`, async () => {
        const port = await freePort();
        await using program = peer.server(port, mtu, kind);
        await program.hears(peer.isListening);
        const shown: Buffer[] = [];
        await using socket = await openDatagramSocket({ family: 4, address: '127.0.0.1', port: 0 }, { receive() {} });
        await using client = await connect(socket.local.withPort(port), {
          mtuBytes: mtu,
          verifyPeer: (session) => {
            shown.push(...session.peerCertificates());
            return undefined;
          },
        });
        await until(
          () => client.endpoint.isOpen,
          () => `${client.end} ${program.output}`,
        );
        const der = execFileSync('openssl', ['x509', '-in', certificateFile(kind), '-outform', 'DER']);
        assert.deepEqual(shown, [der]);
        client.endpoint.send(Buffer.from('there and back\n'));
        if (!peer.echoes) {
          await program.hears(/there and back/);
          program.say('there and back');
        }
        await until(
          () => client.got.join('').includes('there and back'),
          () => program.output,
        );
      });
    }
  }
}

const PICKY: readonly [PeerName, string, readonly string[], RegExp][] = [
  ['openssl', 'AES-256-GCM only', ['-cipher', 'ECDHE-RSA-AES256-GCM-SHA384'], /AES256-GCM/],
  ['openssl', 'ChaCha20 only', ['-cipher', 'ECDHE-RSA-CHACHA20-POLY1305'], /CHACHA20/],
  ['openssl', 'P-384 only', ['-curves', 'P-384'], /./],
  ['gnutls', 'AES-256-GCM only', ['--priority', 'NORMAL:-CIPHER-ALL:+AES-256-GCM'], /AES256-GCM/],
  ['gnutls', 'ChaCha20 only', ['--priority', 'NORMAL:-CIPHER-ALL:+CHACHA20-POLY1305'], /CHACHA20/],
  ['gnutls', 'P-384 only', ['--priority', 'NORMAL:-GROUP-ALL:+GROUP-SECP384R1'], /./],
];
for (const [name, what, args, cipher] of PICKY) {
  test(`${name} as client with ${what}`, async () => {
    await using echo = await echoServer({ context: contextOf('rsa-4096') });
    await using program = PEERS[name].client(echo.listener.local.port, 1200, args);
    await until(
      () => echo.sessions.length === 1,
      () => `${program.output} ${echo.failures}`,
    );
    assert.match(echo.sessions[0]?.facts()?.cipher ?? '', cipher);
  });
}

test('a client with DTLS 1.0 alone is refused, unless old clients are let in', async () => {
  const connectOld = (port: number) =>
    new Program('openssl', ['s_client', '-dtls1', '-cipher', 'DEFAULT:@SECLEVEL=0', '-connect', `127.0.0.1:${port}`]);
  await using modern = await echoServer({ context: contextOf('rsa-2048') });
  await using refused = connectOld(modern.listener.local.port);
  await refused.hears(/alert protocol version/);
  assert.match(modern.failures.join(), /unsupported protocol/);
  const context = contextOf('rsa-2048', { minVersion: 'DTLSv1', ciphers: 'ECDHE+AESGCM:ECDHE+AES' });
  await using lenient = await echoServer({ context });
  await using accepted = connectOld(lenient.listener.local.port);
  await until(
    () => lenient.sessions.length === 1,
    () => accepted.output,
  );
  assert.equal(lenient.sessions[0]?.facts()?.version, 'DTLSv1');
});

test('openssl shows a client certificate, agrees on SRTP and exports the same keys', async () => {
  const srtpProfiles = ['SRTP_AES128_CM_SHA1_80'];
  await using echo = await echoServer({ context: contextOf('p-256', { clientCertificate: 'require', srtpProfiles }) });
  await using program = PEERS.openssl.client(echo.listener.local.port, 1200, [
    ...['-cert', certificateFile('p-384'), '-key', keyFile('p-384'), '-use_srtp', 'SRTP_AES128_CM_SHA1_80'],
    ...['-keymatexport', 'EXTRACTOR-dtls_srtp', '-keymatexportlen', '60'],
  ]);
  const [, material] = await program.hears(/Keying material: ([0-9A-F]{120})/);
  await until(
    () => echo.sessions.length === 1,
    () => program.output,
  );
  const [session] = echo.sessions;
  assert.equal(session?.facts()?.srtpProfile, 'SRTP_AES128_CM_SHA1_80');
  assert.equal(session?.exportKeyingMaterial('EXTRACTOR-dtls_srtp', 60)?.toString('hex').toUpperCase(), material);
  const der = execFileSync('openssl', ['x509', '-in', certificateFile('p-384'), '-outform', 'DER']);
  assert.deepEqual(session?.peerCertificates(), [der]);
});

/** Loses, doubles and reorders what goes through it while the handshake lasts, always the same for a seed. */
async function lossyRelay(to: Endpoint, seed: number, harmful: number): Promise<AsyncDisposable & { local: Endpoint }> {
  let state = seed;
  const chance = (): number => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state / 0x1_0000_0000;
  };
  let client: Endpoint | undefined;
  let count = 0;
  const held: (() => void)[] = [];
  const pass = (send: (bytes: Buffer) => void, bytes: Buffer): void => {
    const copy = Buffer.from(bytes);
    const what = count++ < harmful ? chance() : 1;
    if (what < 0.25) return;
    if (what < 0.4) {
      held.push(() => send(copy));
      return;
    }
    send(copy);
    if (what < 0.5) send(copy);
    for (const late of held.splice(0)) late();
  };
  const back = await openDatagramSocket(
    { family: 4, address: '127.0.0.1', port: 0, implementation: 'dgram' },
    {
      receive: (bytes) =>
        pass((copy) => {
          if (client !== undefined) front.send(copy, client);
        }, bytes),
    },
  );
  const front = await openDatagramSocket(
    { family: 4, address: '127.0.0.1', port: 0, implementation: 'dgram' },
    {
      receive(bytes, from) {
        client = from;
        pass((copy) => back.send(copy, to), bytes);
      },
    },
  );
  return {
    local: front.local,
    async [Symbol.asyncDispose]() {
      await front.close();
      await back.close();
    },
  };
}

test('handshakes get through loss, doubling and reordering', async () => {
  await using echo = await echoServer({ context: contextOf('rsa-4096', { retransmitMs: 40 }), mtuBytes: 500 });
  const context = createDtlsContext({ retransmitMs: 40 });
  await Promise.all(
    Array.from({ length: 40 }, async (_, seed) => {
      await using relay = await lossyRelay(echo.listener.local, seed + 1, 40);
      await using client = await connect(relay.local, { context, mtuBytes: 500 });
      await until(
        () => {
          client.endpoint.send(Buffer.from(`seed ${seed}`));
          return client.got.includes(`seed ${seed}`) || client.end !== undefined;
        },
        () => `seed ${seed}: ${client.end} ${echo.failures}`,
      );
      assert.equal(client.end, undefined, `seed ${seed}`);
    }),
  );
});

for (const name of ['openssl', 'gnutls'] as PeerName[]) {
  test(`${name} as client gets through loss, doubling and reordering`, async () => {
    await using echo = await echoServer({ context: contextOf('rsa-2048', { retransmitMs: 200 }), mtuBytes: 500 });
    await Promise.all(
      [1, 2, 3, 4].map(async (seed) => {
        await using relay = await lossyRelay(echo.listener.local, seed, 16);
        await using program = PEERS[name].client(relay.local.port, 500);
        await until(
          () => {
            program.say(`seed ${seed}`);
            return new RegExp(`seed ${seed}`).test(program.output);
          },
          () => `seed ${seed}: ${program.output} ${echo.failures}`,
        );
      }),
    );
  });
}

test('two thousand sessions on one socket; the certificate is swapped under load and none is lost', async () => {
  await using echo = await echoServer({
    context: contextOf('p-256'),
    maxHandshakes: 3000,
    maxHandshakesPerAddress: 3000,
  });
  const context = createDtlsContext({});
  const clients = await Promise.all(
    Array.from({ length: 2000 }, () => connect(echo.listener.local, { context, handshakeMs: LIMIT_MS })),
  );
  try {
    await until(
      () => clients.every(({ endpoint }) => endpoint.isOpen),
      () =>
        `${clients.filter(({ endpoint }) => endpoint.isOpen).length} open, ${JSON.stringify(echo.listener.server.stats)}`,
    );
    for (const round of ['before', 'after']) {
      for (const client of clients) {
        if (round === 'after' && client === clients[1000]) echo.listener.server.setContext(contextOf('rsa-2048'));
        client.endpoint.send(Buffer.from(round));
      }
      await until(
        () => {
          for (const { endpoint, got } of clients) if (!got.includes(round)) endpoint.send(Buffer.from(round));
          return clients.every(({ got }) => got.includes(round));
        },
        () => `${clients.filter(({ got }) => !got.includes(round)).length} hear nothing`,
      );
    }
    assert.equal(echo.listener.server.size, 2000);
    assert.ok(clients.every(({ end }) => end === undefined));
    await using late = await connect(echo.listener.local, { context });
    await until(
      () => late.endpoint.isOpen,
      () => `${late.end}`,
    );
    assert.match(late.endpoint.facts()?.cipher ?? '', /RSA/);
  } finally {
    for (const client of clients) await client[Symbol.asyncDispose]();
  }
  await until(
    () => echo.listener.server.size === 0,
    () => `${echo.listener.server.size} left`,
  );
});
