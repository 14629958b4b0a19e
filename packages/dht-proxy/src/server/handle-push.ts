import type { InfoHash } from '@atoll/identity';
import { decodePushRequest, type PushRequest } from '../wire/requests.js';
import { answer, answerFault, answerNoRoute, answerRefusal, beginLines, readBody } from './answer.js';
import { isRefusal } from './dht-proxy.js';
import { answerWithValues } from './handle-get.js';
import type { RequestContext } from './request-context.js';

const EMPTY_OBJECT = '{}\n';

/** `SUBSCRIBE /key/H`: listens for a phone that sleeps (protocol/dht-proxy.md 10). */
export async function handleSubscribe(context: RequestContext, key: InfoHash): Promise<void> {
  const { proxy, response } = context;
  if (proxy.pushes === undefined) {
    answerNoRoute(response);
    return;
  }
  const asked = await readPushRequest(context);
  if (asked === undefined) return;
  const node = proxy.usableNode();
  if (isRefusal(node)) {
    answerRefusal(response, node);
    return;
  }
  const { isRefresh, ...request } = asked;
  const result = await proxy.pushes.subscribe({ key, ...request });
  if (result.outcome === 'refused') answerRefusal(response, result);
  else if (result.outcome === 'new') answer(response, 200, EMPTY_OBJECT);
  else if (isRefresh) {
    beginLines(response);
    response.end(EMPTY_OBJECT);
  } else answerWithValues(context, node, key);
}

/** `UNSUBSCRIBE /key/H`: well also if there was nothing to end. */
export async function handleUnsubscribe(context: RequestContext, key: InfoHash): Promise<void> {
  const { proxy, response } = context;
  if (proxy.pushes === undefined) {
    answerNoRoute(response);
    return;
  }
  const asked = await readPushRequest(context, true);
  if (asked === undefined) return;
  proxy.pushes.unsubscribe({ key, token: asked.token, clientId: asked.clientId });
  answer(response, 200, '');
}

/** `POST /node/pingPush`: a push that proves the way to the phone (protocol/dht-proxy.md 11). */
export async function handlePingPush(context: RequestContext): Promise<void> {
  const { proxy, response } = context;
  const { push } = proxy;
  if (push === undefined) {
    answerNoRoute(response);
    return;
  }
  const asked = await readPushRequest(context);
  if (asked === undefined) return;
  const refusal = push.refusal(asked) ?? proxy.keeper.refusePut(context.address);
  if (refusal !== undefined) {
    answerRefusal(response, refusal);
    return;
  }
  push.notify(asked, { pong: true, to: asked.clientId }, 'high');
  answer(response, 200, '');
}

async function readPushRequest(
  { proxy, request, response }: RequestContext,
  isNoTokenNoRoute = false,
): Promise<PushRequest | undefined> {
  const body = await readBody(request, response, proxy.keeper.limits.bodyBytes);
  if (body === undefined) return undefined;
  const decoded = decodePushRequest(body);
  if (typeof decoded !== 'string') return decoded;
  // The original's answer to an unsubscribe without token.
  if (isNoTokenNoRoute && decoded === 'no token') answerNoRoute(response);
  else answerFault(response, decoded);
  return undefined;
}
