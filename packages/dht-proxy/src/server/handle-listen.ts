import type { Socket } from 'node:net';
import type { InfoHash } from '@atoll/identity';
import { answerRefusal, beginLines } from './answer.js';
import { isRefusal } from './dht-proxy.js';
import { ListenStream } from './listen-stream.js';
import type { RequestContext } from './request-context.js';

/** `GET /key/H/listen`: a line whenever a value comes or goes, until the client has enough (protocol/dht-proxy.md 8). */
export function handleListen(context: RequestContext, key: InfoHash): void {
  const { proxy, exchange, address } = context;
  const node = proxy.usableNode();
  const refusal = isRefusal(node) ? node : proxy.keeper.refuseListen(address);
  if (refusal !== undefined) {
    answerRefusal(exchange, refusal);
    return;
  }
  const { response } = exchange;
  // Behind another request on its connection, it has the connection to itself only when that one is answered.
  if (response.socket === null) response.once('socket', () => handleListen(context, key));
  else open(context, key, response.socket);
}

function open({ proxy, exchange, address }: RequestContext, key: InfoHash, socket: Socket): void {
  const { keeper, streams, watches } = proxy;
  exchange.keepOpen();
  beginLines(exchange, ['X-Heartbeat-Seconds', String(proxy.heartbeatSeconds)]);
  exchange.response.flushHeaders();
  const stream = new ListenStream(exchange.response, socket, {
    onSlow: (slow) => streams.isSlow(slow),
    onClosed: (closed) => {
      keeper.listens.leave(address);
      streams.remove(closed);
      watches.unwatch(key, closed);
    },
  });
  keeper.listens.enter(address);
  streams.add(stream);
  if (!watches.watch(key, stream)) stream.ended();
}
