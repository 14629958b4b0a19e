import { readFileSync } from 'node:fs';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { extname, join, normalize } from 'node:path';
import type {
  Figures,
  Findings,
  History,
  JoinFacts,
  LogPage,
  NamePage,
  NetworkFacts,
  OperatorFacts,
  ReachFacts,
  ServiceFacts,
  SettingFacts,
  TurnUser,
} from '@atoll/hub';
import { webFiles } from '@atoll/web';

const TYPES: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
};

/** A hub with much to show: a service that is down, a bridge, other hubs, a hundred nodes. */
export class PortalStub {
  readonly url: string;
  /** What the page has changed: `METHOD path body`. */
  readonly changes: string[] = [];
  readonly #server;
  readonly #nowMs = Date.now();
  isPasswordSet = false;
  nodeCount = 100;
  #isTurnOn = true;

  static async start(): Promise<PortalStub> {
    const server = createServer((asked, answer) => void stub.#serve(asked, answer));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const stub = new PortalStub(server);
    return stub;
  }

  private constructor(server: ReturnType<typeof createServer>) {
    this.#server = server;
    this.url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  async #serve(asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    const { pathname } = new URL(asked.url ?? '/', this.url);
    answer.setHeader('Content-Security-Policy', "default-src 'self'");
    if (pathname.startsWith('/api/')) return this.#api(pathname.slice(5), asked, answer);
    if (pathname.startsWith('/name/') || pathname === '/node/info')
      return send(answer, 404, { error: 'name not registered' });
    const file = extname(pathname) === '' ? 'index.html' : normalize(pathname);
    try {
      const bytes = readFileSync(join(webFiles, file));
      answer.writeHead(200, { 'Content-Type': TYPES[extname(file)] ?? 'application/octet-stream' }).end(bytes);
    } catch {
      answer.writeHead(404).end();
    }
  }

  async #api(path: string, asked: IncomingMessage, answer: ServerResponse): Promise<void> {
    let body = '';
    for await (const chunk of asked) body += String(chunk);
    const isLoggedIn = asked.headers.cookie?.includes('session=yes') === true;
    if (asked.method !== 'GET') {
      if (asked.headers['x-atoll'] !== '1') return refuse(answer, 403, 'FOREIGN_PAGE', 'Only this page may ask that.');
      if (path === 'session' && asked.method === 'POST') {
        if (!/"once"|"correct horse"/.test(body))
          return refuse(answer, 401, 'WRONG_PASSWORD', 'That is not the password.');
        answer.setHeader('Set-Cookie', 'session=yes; HttpOnly; SameSite=Strict; Path=/');
        return send(answer, 200, { endsMs: this.#nowMs + 3_600_000, needsPassword: !this.isPasswordSet });
      }
      if (!isLoggedIn) return refuse(answer, 401, 'NO_SESSION', 'Log in first.');
      this.changes.push(`${asked.method} ${path} ${body}`);
      if (path === 'operator/password') this.isPasswordSet = true;
      if (path === 'operator/services/turn') this.#isTurnOn = body.includes('true');
      if (path === 'session') answer.setHeader('Set-Cookie', 'session=; Max-Age=0; Path=/');
      return path === 'operator/settings' ? send(answer, 200, this.#settings()) : send(answer, 204);
    }
    if (path.startsWith('operator') && !isLoggedIn) return refuse(answer, 401, 'NO_SESSION', 'Log in first.');
    if (path === 'operator/backup') return void answer.writeHead(200).end('a backup');
    const facts = this.#facts(path);
    return facts === undefined ? refuse(answer, 404, 'NOT_FOUND', 'There is nothing here.') : send(answer, 200, facts);
  }

  #facts(path: string): unknown {
    const facts: Readonly<Record<string, () => unknown>> = {
      join: () => this.#join(),
      network: () => this.#network(),
      history: () => this.#history(),
      reach: (): ReachFacts => ({
        address: '192.168.1.23',
        isDhtSeen: true,
        isTurnSeen: true,
        isProxySeen: false,
        isNameServerSeen: true,
      }),
      why: () => FINDINGS,
      operator: (): OperatorFacts => ({
        services: this.#services(),
        certificate: {
          subject: 'reef.local',
          notAfterMs: this.#nowMs + 90 * 86_400_000,
          isOwnAuthority: true,
          isAcme: false,
        },
        isPasswordSet: this.isPasswordSet,
        stateDirectory: '/var/lib/atoll',
        diskFreeBytes: 41_500_000_000,
      }),
      'operator/turn-users': (): TurnUser[] => [
        { name: 'reef', isOwn: true },
        { name: 'workshop', isOwn: false },
      ],
      'operator/names': (): NamePage => ({
        names: ['alice', 'bob', 'chloé'].map((name, n) => ({
          name,
          address: idOf(n * 977),
          registeredMs: this.#nowMs - n * 86_400_000,
        })),
        next: 'chloé',
      }),
      'operator/reserved-names': () => ['admin', 'support'],
      'operator/settings': () => this.#settings(),
      'operator/log': (): LogPage => ({
        lines: Array.from({ length: 40 }, (_, n) => ({
          atMs: this.#nowMs - (40 - n) * 30_000,
          level: n === 17 ? 'warn' : n === 31 ? 'error' : 'info',
          message: n === 31 ? 'The name store did not answer in time' : `node ${idOf(n * 31)} answered`,
        })),
        cursor: 40,
      }),
      'operator/doctor': () => FINDINGS,
    };
    return facts[path]?.();
  }

  #join(): JoinFacts {
    return {
      name: 'Coral Street 12',
      version: '0.1.0',
      bootstrap: '192.168.1.10:4222',
      proxy: this.url,
      nameServer: this.url,
      turn: { server: '127.0.0.1:9', user: 'reef', password: 'mUx3-9fLq-22bT', realm: 'atoll', tlsPort: 9 },
      urls: [`${this.url}/`, 'https://192.168.1.10:8444/'],
      authority: {
        fingerprint: Array.from({ length: 32 }, (_, n) =>
          ((n * 37 + 11) % 256).toString(16).padStart(2, '0').toUpperCase(),
        ).join(':'),
        certificate: '/atoll.crt',
        der: '/atoll.der',
        profile: '/atoll.mobileconfig',
      },
      code: 'atoll:join?n=Coral%20Street%2012&b=192.168.1.10:4222&p=http://192.168.1.10:8080&ns=http://192.168.1.10:8000&t=192.168.1.10:3478&tu=reef&tp=mUx3-9fLq-22bT&tr=atoll',
      isSecure: false,
    };
  }

  #services(): ServiceFacts[] {
    const sinceMs = this.#nowMs - 26 * 3_600_000;
    return [
      { name: 'dht', isOn: true, isWell: true, sinceMs, restarts: 0 },
      { name: 'proxy', isOn: true, isWell: true, sinceMs, restarts: 1 },
      {
        name: 'names',
        isOn: true,
        isWell: false,
        sinceMs: this.#nowMs - 300_000,
        restarts: 4,
        lastError: {
          atMs: this.#nowMs - 240_000,
          message: 'The disk is full: free some space, then it goes on by itself.',
        },
      },
      { name: 'turn', isOn: this.#isTurnOn, isWell: this.#isTurnOn, sinceMs, restarts: 0 },
      { name: 'portal', isOn: true, isWell: true, sinceMs, restarts: 0 },
    ];
  }

  #network(): NetworkFacts {
    return {
      nowMs: this.#nowMs,
      startedMs: this.#nowMs - 26 * 3_600_000,
      services: this.#services(),
      figures: FIGURES,
      keySpace: {
        self: idOf(7),
        nodes: Array.from({ length: this.nodeCount }, (_, n) => ({
          id: idOf(n * 7919 + 13),
          isGood: n % 6 !== 0,
          address: `192.168.1.${20 + (n % 200)}:4222`,
        })),
      },
      hubs: [{ name: 'Boat house', url: 'http://192.168.1.40:8000/', seenMs: this.#nowMs - 20_000 }],
      bridge: { older: 12, newer: 9, copied: 3480 },
    };
  }

  #history(): History {
    const steps = Array.from({ length: 96 }, (_, n) => n);
    const series = Object.fromEntries(
      Object.entries(FIGURES).map(([key, value], k) => [
        key,
        steps.map((n) => Math.round(value * (0.55 + 0.35 * Math.sin(n / (7 + k)) + 0.1 * Math.sin(n * (k + 2))))),
      ]),
    ) as Record<keyof Figures, number[]>;
    return { timesMs: steps.map((n) => this.#nowMs - (96 - n) * 900_000), series };
  }

  #settings(): SettingFacts[] {
    return [
      { key: 'turn', value: 'true', text: 'Run a TURN server', isFixed: false, needsRestart: true },
      { key: 'dht-port', value: '4222', text: 'UDP port of the DHT node', isFixed: true, needsRestart: true },
      { key: 'turn-quota', value: '50', text: 'Relay allocations for each user', isFixed: false, needsRestart: false },
      {
        key: 'name',
        value: 'Coral Street 12',
        text: 'Name of the hub, as people call it',
        isFixed: false,
        needsRestart: true,
      },
    ];
  }
}

const FIGURES: Figures = {
  nodes: 100,
  values: 18_204,
  storageBytes: 48_700_000,
  listens: 312,
  proxyClients: 14,
  pushSubscriptions: 9,
  names: 61,
  allocations: 4,
  inBytesPerSecond: 84_200,
  outBytesPerSecond: 1_310_000,
  residentBytes: 187_000_000,
};

const FINDINGS: Findings = {
  isWell: false,
  findings: [
    { id: 'name-known', severity: 'good', sentence: 'The name server knows both names.' },
    {
      id: 'multicast-blocked',
      severity: 'fault',
      sentence: 'Multicast does not pass between these two devices.',
      remedy: 'Switch off “client isolation” in the access point, or enter the bootstrap address by hand.',
      facts: { interface: 'wlan0', heard: 0 },
    },
    {
      id: 'relay-unused',
      severity: 'warning',
      sentence: 'Neither has asked for a relay yet.',
      remedy: 'Enter the TURN server in both apps.',
    },
    { id: 'presence', severity: 'unknown', sentence: 'Nobody has looked for the second one in the last hour.' },
  ],
};

function idOf(seed: number): string {
  let state = seed + 1;
  return Array.from({ length: 5 }, () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return (Math.imul(state ^ (state >>> 15), 2_246_822_519) >>> 0).toString(16).padStart(8, '0');
  }).join('');
}

function send(answer: ServerResponse, status: number, body?: unknown): void {
  answer.writeHead(status, { 'Content-Type': 'application/json' }).end(body === undefined ? '' : JSON.stringify(body));
}

function refuse(answer: ServerResponse, status: number, code: string, message: string): void {
  send(answer, status, { error: { code, message } });
}
