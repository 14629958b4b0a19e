import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { checkToken } from './check-token.js';
import { HttpPushService, type ServiceAnswer, type ServiceRequest } from './http-service.js';

const FCM_ERROR = 'type.googleapis.com/google.firebase.fcm.v1.FcmError';
const SCOPE = 'https://www.googleapis.com/auth/firebase.messaging';

interface Message {
  readonly token?: unknown;
  readonly data?: unknown;
  readonly android?: { readonly priority?: unknown; readonly ttl?: unknown };
}

/** Firebase Cloud Messaging, HTTP v1, with the token endpoint before it, for a test. */
export class TestFcm extends HttpPushService {
  /** Tokens of phones that are no more. */
  readonly unregistered = new Set<string>();
  /** Tokens that may not get anything for a while. */
  readonly overQuota = new Set<string>();
  /** Access tokens given out. */
  readonly granted: string[] = [];
  /** Access tokens before this one (by number) are good no more. */
  revokedBefore = 0;
  private readonly project = 'test-project';
  private readonly email = 'push@test-project.iam.example';
  private readonly privateKey: KeyObject;
  private readonly publicKey: KeyObject;

  constructor() {
    super();
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    this.privateKey = privateKey;
    this.publicKey = publicKey;
  }

  /** Content of the service account file. */
  get serviceAccount(): string {
    return JSON.stringify({
      type: 'service_account',
      project_id: this.project,
      private_key_id: 'key-1',
      private_key: this.privateKey.export({ format: 'pem', type: 'pkcs8' }),
      client_email: this.email,
      token_uri: `${this.url}/token`,
    });
  }

  protected override isPush({ path }: ServiceRequest): boolean {
    return path !== '/token';
  }

  protected override answer(request: ServiceRequest): ServiceAnswer {
    if (request.method !== 'POST') return { status: 405 };
    if (request.path === '/token') return this.grant(request);
    if (request.path !== `/v1/projects/${this.project}/messages:send`) return failure(404, 'NOT_FOUND');
    const bearer = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1] ?? '';
    if (this.granted.indexOf(bearer) < this.revokedBefore) return failure(401, 'UNAUTHENTICATED');
    const message = messageOf(request.body);
    const { token, data, android } = message;
    const isData = typeof data === 'object' && data !== null && Object.values(data).every((v) => typeof v === 'string');
    if (!isData || !/^(HIGH|NORMAL)$/.test(String(android?.priority)) || !/^\d+s$/.test(String(android?.ttl))) {
      return failure(400, 'INVALID_ARGUMENT');
    }
    if (typeof token !== 'string' || token === 'nonsense') {
      const violation = { field: 'message.token', description: 'Invalid registration token' };
      return failure(400, 'INVALID_ARGUMENT', 'INVALID_ARGUMENT', [
        { '@type': 'type.googleapis.com/google.rpc.BadRequest', fieldViolations: [violation] },
      ]);
    }
    if (this.unregistered.has(token)) return failure(404, 'NOT_FOUND', 'UNREGISTERED');
    if (this.overQuota.has(token)) {
      return { ...failure(429, 'RESOURCE_EXHAUSTED', 'QUOTA_EXCEEDED'), headers: { 'Retry-After': '90' } };
    }
    return { status: 200, body: { name: `projects/${this.project}/messages/${this.received.all.length}` } };
  }

  private grant({ headers, body }: ServiceRequest): ServiceAnswer {
    const form = new URLSearchParams(body.toString());
    const checked = checkToken(form.get('assertion') ?? '', 'RS256', this.publicKey);
    const { iss, aud, scope, iat, exp } = checked?.claims ?? {};
    const isGood =
      headers['content-type'] === 'application/x-www-form-urlencoded' &&
      form.get('grant_type') === 'urn:ietf:params:oauth:grant-type:jwt-bearer' &&
      checked?.header.kid === 'key-1' &&
      iss === this.email &&
      aud === `${this.url}/token` &&
      scope === SCOPE &&
      Number(exp) - Number(iat) <= 3600;
    if (!isGood) return { status: 400, body: { error: 'invalid_grant' } };
    this.granted.push(`access-${this.granted.length}`);
    return {
      status: 200,
      body: { access_token: this.granted.at(-1), expires_in: 3599, token_type: 'Bearer' },
    };
  }
}

function messageOf(body: Buffer): Message {
  try {
    return (JSON.parse(body.toString()) as { message?: Message }).message ?? {};
  } catch {
    return {};
  }
}

function failure(code: number, status: string, errorCode?: string, more: readonly unknown[] = []): ServiceAnswer {
  const details = errorCode === undefined ? more : [{ '@type': FCM_ERROR, errorCode }, ...more];
  return { status: code, body: { error: { code, message: status, status, details } } };
}
