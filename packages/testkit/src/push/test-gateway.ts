import { HttpPushService, type ServiceAnswer, type ServiceRequest } from './http-service.js';

/** A gateway with the interface of gorush, for a test. */
export class TestGateway extends HttpPushService {
  /** What the next request is answered, once, instead of being taken. */
  nextAnswer: ServiceAnswer | undefined;

  protected override answer({ method, path, body }: ServiceRequest): ServiceAnswer {
    if (method !== 'POST' || path !== '/api/push') return { status: 404 };
    const prepared = this.nextAnswer;
    this.nextAnswer = undefined;
    if (prepared !== undefined) return prepared;
    const notifications = notificationsOf(body);
    if (notifications === undefined) return { status: 400, body: { error: 'Missing `notifications` field.' } };
    return { status: 200, body: { success: 'ok', counts: notifications.length, logs: [] } };
  }
}

function notificationsOf(body: Buffer): readonly unknown[] | undefined {
  try {
    const { notifications } = JSON.parse(body.toString()) as { notifications?: unknown };
    return Array.isArray(notifications) && notifications.length > 0 ? notifications : undefined;
  } catch {
    return undefined;
  }
}
