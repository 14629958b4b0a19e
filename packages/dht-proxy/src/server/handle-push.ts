import type { InfoHash } from '@atoll/identity';
import { decodePushRequest, type PushRequest } from '../wire/requests.js';
import { answer, answerNoRoute, answerRefusal, beginLines, faultError } from './answer.js';
import { isRefusal } from './dht-proxy.js';
import { answerWithValues } from './handle-get.js';
import type { RequestContext } from './request-context.js';

const EMPTY_OBJECT = '{}\n';

/** `SUBSCRIBE /key/H`: listens for a phone that sleeps (protocol/dht-proxy.md 10). */
export async function handleSubscribe(context: RequestContext, key: InfoHash): Promise<void> {
  const { proxy, exchange } = context;
  if (proxy.pushes === undefined) {
    answerNoRoute(exchange);
    return;
  }
  const asked = await readPushRequest(context);
  if (asked === undefined) return;
  const node = proxy.usableNode();
  if (isRefusal(node)) {
    answerRefusal(exchange, node);
    return;
  }
  const { isRefresh, ...request } = asked;
  const result = await proxy.pushes.subscribe({ key, ...request }, context.address);
  if (result.outcome === 'refused') answerRefusal(exchange, result);
  else if (result.outcome === 'new') answer(exchange, 200, EMPTY_OBJECT);
  else if (isRefresh) {
    beginLines(exchange);
    exchange.response.end(EMPTY_OBJECT);
    // A phone that wakes up asks once: what it was woken for must be in the answer, whatever becomes of the search.
  } else answerWithValues(context, node, key, proxy.watches.known(key));
}

/** `UNSUBSCRIBE /key/H`: well also if there was nothing to end. */
export async function handleUnsubscribe(context: RequestContext, key: InfoHash): Promise<void> {
  const { proxy, exchange } = context;
  if (proxy.pushes === undefined) {
    answerNoRoute(exchange);
    return;
  }
  const asked = await readPushRequest(context, true);
  if (asked === undefined) return;
  proxy.pushes.unsubscribe({ key, token: asked.token, clientId: asked.clientId });
  answer(exchange, 200, '');
}

/** `POST /node/pingPush`: a push that proves the way to the phone (protocol/dht-proxy.md 11). */
export async function handlePingPush(context: RequestContext): Promise<void> {
  const { proxy, exchange } = context;
  const { push } = proxy;
  if (push === undefined) {
    answerNoRoute(exchange);
    return;
  }
  const asked = await readPushRequest(context);
  if (asked === undefined) return;
  const refusal = push.refusal(asked) ?? proxy.keeper.refusePut(context.address);
  if (refusal !== undefined) {
    answerRefusal(exchange, refusal);
    return;
  }
  push.notify(asked, { pong: true, to: asked.clientId }, 'high');
  answer(exchange, 200, '');
}

async function readPushRequest(
  { proxy, exchange }: RequestContext,
  isNoTokenNoRoute = false,
): Promise<PushRequest | undefined> {
  const body = await exchange.body({ maxBytes: proxy.keeper.limits.bodyBytes });
  const decoded = decodePushRequest(body);
  if (typeof decoded !== 'string') return decoded;
  // The original's answer to an unsubscribe without token.
  if (isNoTokenNoRoute && decoded === 'no token') answerNoRoute(exchange);
  else throw faultError(decoded);
  return undefined;
}
