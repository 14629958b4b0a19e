import type { IncomingMessage, ServerResponse } from 'node:http';
import { errorMessage } from '@atoll/base';
import { type Route, routeOf } from '../wire/route.js';
import { answer, answerNoRoute, answerOptions } from './answer.js';
import type { DhtProxy } from './dht-proxy.js';
import { handleGet } from './handle-get.js';
import { handleInfo, handleStats } from './handle-info.js';
import { handleListen } from './handle-listen.js';
import { handlePingPush, handleSubscribe, handleUnsubscribe } from './handle-push.js';
import { handleOwnPut, handlePut } from './handle-put.js';
import { addressBucketOf } from './limits.js';
import type { RequestContext } from './request-context.js';

/** Answers every request of a proxy's ports. */
export function requestHandler(proxy: DhtProxy): (request: IncomingMessage, response: ServerResponse) => void {
  return (request, response) => {
    proxy.countRequest();
    response.sendDate = false;
    const route = routeOf(request.method ?? '', request.url ?? '');
    if (route === undefined) {
      answerNoRoute(response);
      return;
    }
    const address = addressBucketOf(request.socket.remoteAddress ?? '');
    handle({ proxy, request, response, address }, route)?.catch((error) => {
      proxy.logger.error(`A request to the DHT proxy failed: ${errorMessage(error)}`);
      if (response.headersSent) response.destroy();
      else answer(response, 500, '{"err":"Internal server error"}');
    });
  };
}

function handle(context: RequestContext, route: Route): Promise<void> | undefined {
  switch (route.kind) {
    case 'info':
      handleInfo(context);
      return undefined;
    case 'stats':
      handleStats(context);
      return undefined;
    case 'options':
      answerOptions(context.response);
      return undefined;
    case 'get':
      handleGet(context, route.key);
      return undefined;
    case 'listen':
      handleListen(context, route.key);
      return undefined;
    case 'put':
      return handlePut(context, route.key);
    case 'sign':
    case 'encrypt':
      return handleOwnPut(context, route.key, route.kind);
    case 'subscribe':
      return handleSubscribe(context, route.key);
    case 'unsubscribe':
      return handleUnsubscribe(context, route.key);
    case 'pingPush':
      return handlePingPush(context);
  }
}
