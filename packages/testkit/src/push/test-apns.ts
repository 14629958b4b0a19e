import { generateKeyPairSync, type KeyObject, randomUUID } from 'node:crypto';
import { once } from 'node:events';
import { createSecureServer, type Http2SecureServer, type ServerHttp2Session } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { checkToken } from './check-token.js';
import { ReceivedPushes } from './received-pushes.js';

const MOST_PAYLOAD_BYTES = 4096;
const TOKEN_SECONDS = 3600;

/** Apple's push service: HTTP/2 over TLS with provider tokens, for a test. */
export class TestApns {
  readonly received = new ReceivedPushes();
  readonly keyId = 'TESTKEY123';
  readonly teamId = 'TESTTEAM12';
  /** Device tokens of phones that are no more. */
  readonly unregistered = new Set<string>();
  /** Device tokens that got too much. */
  readonly busy = new Set<string>();
  /** A reason with its status that every push is refused for, while it is set. */
  refusal: { readonly status: number; readonly reason: string } | undefined;
  /** Connections taken so far. */
  connections = 0;
  private readonly server: Http2SecureServer;
  private readonly sessions = new Set<ServerHttp2Session>();
  private readonly privateKey: KeyObject;
  private readonly publicKey: KeyObject;
  private host = 'localhost';

  /** `key` and `cert` (PEM): what it shows to its clients. */
  constructor(tls: { readonly key: string; readonly cert: string }) {
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    this.privateKey = privateKey;
    this.publicKey = publicKey;
    this.server = createSecureServer({ key: tls.key, cert: tls.cert });
    this.server.on('session', (session) => {
      this.connections++;
      this.sessions.add(session);
      session.on('close', () => this.sessions.delete(session));
      session.on('error', () => {});
    });
    this.server.on('stream', (stream, found) => {
      const headers = Object.fromEntries(Object.entries(found).map(([name, value]) => [name, String(value)]));
      const chunks: Buffer[] = [];
      stream.on('error', () => {});
      stream.on('data', (chunk: Buffer) => chunks.push(chunk));
      stream.on('end', () => {
        const body = Buffer.concat(chunks);
        const path = headers[':path'] ?? '';
        const { status, reason } = this.answer(headers, body);
        stream.respond({ ':status': status, 'apns-id': randomUUID() });
        const timestamp = status === 410 ? { timestamp: Date.now() } : {};
        stream.end(reason === undefined ? undefined : JSON.stringify({ reason, ...timestamp }));
        this.received.add({ path, headers, body, status });
      });
    });
  }

  async listen(host = 'localhost', port = 0): Promise<this> {
    this.host = host;
    this.server.listen(port, host === 'localhost' ? '127.0.0.1' : host);
    await once(this.server, 'listening');
    return this;
  }

  get url(): string {
    return `https://${this.host}:${(this.server.address() as AddressInfo).port}`;
  }

  /** Content of the key file that the operator would have from Apple. */
  get keyFile(): string {
    return this.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString();
  }

  /** Says goodbye on all connections, as Apple does before maintenance. */
  goAway(): void {
    for (const session of this.sessions) session.close();
  }

  /** Breaks all connections. */
  breakConnections(): void {
    for (const session of this.sessions) session.destroy();
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.breakConnections();
    this.server.close();
    await once(this.server, 'close');
  }

  private answer(headers: Readonly<Record<string, string>>, body: Buffer): { status: number; reason?: string } {
    const [, token = ''] = /^\/3\/device\/(.*)$/.exec(headers[':path'] ?? '') ?? [];
    if (headers[':method'] !== 'POST') return { status: 405, reason: 'MethodNotAllowed' };
    const bearer = /^bearer (.+)$/i.exec(headers.authorization ?? '')?.[1];
    if (bearer === undefined) return { status: 403, reason: 'MissingProviderToken' };
    const checked = checkToken(bearer, 'ES256', this.publicKey);
    if (checked?.header.kid !== this.keyId || checked.claims.iss !== this.teamId) {
      return { status: 403, reason: 'InvalidProviderToken' };
    }
    const age = Date.now() / 1000 - Number(checked.claims.iat);
    if (age > TOKEN_SECONDS || age < -60) return { status: 403, reason: 'ExpiredProviderToken' };
    if (this.refusal !== undefined) return this.refusal;
    if (!/^[0-9a-f]{64}$/.test(token)) return { status: 400, reason: 'BadDeviceToken' };
    const { 'apns-topic': topic, 'apns-push-type': type = '', 'apns-priority': priority = '' } = headers;
    if (topic === undefined) return { status: 400, reason: 'MissingTopic' };
    if (!['alert', 'background', 'voip'].includes(type)) return { status: 400, reason: 'InvalidPushType' };
    if (topic.endsWith('.voip') !== (type === 'voip')) return { status: 400, reason: 'TopicDisallowed' };
    // A background push with high priority is refused (Apple: sending notification requests).
    if (!['5', '10'].includes(priority) || (type === 'background' && priority !== '5')) {
      return { status: 400, reason: 'BadPriority' };
    }
    if (body.length > MOST_PAYLOAD_BYTES) return { status: 413, reason: 'PayloadTooLarge' };
    if (!hasAps(body)) return { status: 400, reason: 'PayloadEmpty' };
    if (this.unregistered.has(token)) return { status: 410, reason: 'Unregistered' };
    if (this.busy.has(token)) return { status: 429, reason: 'TooManyRequests' };
    return { status: 200 };
  }
}

function hasAps(body: Buffer): boolean {
  try {
    const { aps } = JSON.parse(body.toString()) as { aps?: unknown };
    return typeof aps === 'object' && aps !== null;
  } catch {
    return false;
  }
}
