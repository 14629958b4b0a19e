import { HttpPushService, type ServiceAnswer, type ServiceRequest } from './http-service.js';

/** A UnifiedPush server (as ntfy is one), for a test: any path is an endpoint. */
export class TestDistributor extends HttpPushService {
  /** What an endpoint answers instead of taking the push, by path. */
  readonly answers = new Map<string, ServiceAnswer>();

  protected override answer({ method, path, headers, body }: ServiceRequest): ServiceAnswer {
    if (method === 'GET') return { status: 200, body: { unifiedpush: { version: 1 } } };
    if (method !== 'POST') return { status: 405 };
    const prepared = this.answers.get(path);
    if (prepared !== undefined) return prepared;
    // RFC 8030 5.2: a push without TTL is refused. UnifiedPush: 1 to 4000 bytes.
    if (!/^\d+$/.test(headers.ttl ?? '')) return { status: 400, body: { error: 'TTL is missing' } };
    if (body.length === 0 || body.length > 4000) return { status: 413 };
    return { status: 201, headers: { Location: `${this.url}/message/${this.received.all.length}` } };
  }
}
