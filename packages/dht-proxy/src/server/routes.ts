import { type Exchange, Router } from '@atoll/http';
import type { InfoHash } from '@atoll/identity';
import { keyOfSegment } from '../wire/key-segment.js';
import { answerOptions } from './answer.js';
import type { DhtProxy } from './dht-proxy.js';
import { handleGet } from './handle-get.js';
import { handleInfo, handleStats } from './handle-info.js';
import { handleListen } from './handle-listen.js';
import { handlePingPush, handleSubscribe, handleUnsubscribe } from './handle-push.js';
import { handleOwnPut, handlePut } from './handle-put.js';
import { addressBucketOf } from './limits.js';
import type { RequestContext } from './request-context.js';

/** The routes of a proxy, those of both generations (protocol/dht-proxy.md 2). */
export function routesOf(proxy: DhtProxy): Router {
  const begin = (exchange: Exchange): RequestContext => {
    proxy.countRequest();
    exchange.response.sendDate = false;
    return { proxy, exchange, address: addressBucketOf(exchange.client) };
  };
  const on =
    (handle: (context: RequestContext) => void | Promise<void>) =>
    (exchange: Exchange): void | Promise<void> =>
      handle(begin(exchange));
  const onKey =
    (handle: (context: RequestContext, key: InfoHash) => void | Promise<void>) =>
    (exchange: Exchange): void | Promise<void> =>
      handle(begin(exchange), keyOfSegment(exchange.parameter));
  const router = new Router({ ignoresCase: true, ignoresTrailingSlash: true, answersHead: false })
    .on('GET', '/', on(handleInfo))
    .on('GET', '/node/info', on(handleInfo))
    .on(
      'OPTIONS',
      '/node/info',
      on(({ exchange }) => answerOptions(exchange)),
    )
    .on('GET', '/node/stats', on(handleStats))
    .on('POST', '/node/pingPush', on(handlePingPush))
    .on('GET', '/key/:key/listen', onKey(handleListen))
    .on(
      'OPTIONS',
      '/key/:key/listen',
      on(({ exchange }) => answerOptions(exchange)),
    )
    .on(
      'GET',
      '/key/:key/options',
      on(({ exchange }) => answerOptions(exchange)),
    )
    .on(
      'POST',
      '/key/:key/sign',
      onKey((context, key) => handleOwnPut(context, key, 'sign')),
    )
    .on(
      'POST',
      '/key/:key/encrypt',
      onKey((context, key) => handleOwnPut(context, key, 'encrypt')),
    );
  for (const path of ['/:key', '/key/:key']) {
    router
      .on('GET', path, onKey(handleGet))
      .on('POST', path, onKey(handlePut))
      .on('SUBSCRIBE', path, onKey(handleSubscribe))
      .on('UNSUBSCRIBE', path, onKey(handleUnsubscribe))
      .on(
        'OPTIONS',
        path,
        on(({ exchange }) => answerOptions(exchange)),
      );
  }
  return router;
}
