import { type DhtNode, Query, type Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { isTrue } from '../core/key-watches.js';
import { encodeValueJson } from '../wire/value-json.js';
import { answerRefusal, beginLines } from './answer.js';
import { isRefusal } from './dht-proxy.js';
import type { RequestContext } from './request-context.js';

/** `GET /key/H`: every value under the key, a line each, as they are found (protocol/dht-proxy.md 7). */
export function handleGet(context: RequestContext, key: InfoHash): void {
  const { proxy, exchange, address } = context;
  const node = proxy.usableNode();
  const refusal = isRefusal(node) ? node : proxy.keeper.refuseOperation(address);
  if (refusal !== undefined || isRefusal(node)) {
    if (refusal !== undefined) answerRefusal(exchange, refusal);
    return;
  }
  answerWithValues(context, node, key);
}

/**
 * The values under a key as the whole answer; also for a subscription that is there already.
 *
 * @param known Values that the proxy has heard of: told at once, and also when the search fails.
 */
export function answerWithValues(
  { proxy, exchange, address }: RequestContext,
  node: DhtNode,
  key: InfoHash,
  known: readonly Value[] = [],
): void {
  const { operations } = proxy.keeper;
  const { response } = exchange;
  operations.enter(address);
  let isOver = false;
  let cancel = (): void => {};
  const leave = (): void => {
    if (isOver) return;
    isOver = true;
    operations.leave(address);
    cancel();
  };
  response.once('close', leave);
  beginLines(exchange);
  const told = new Map(known.map((value) => [value.id, value]));
  if (known.length > 0) response.write(linesOf(known));
  cancel = node.core.get(key, Query.all, {
    onValues: (values) => {
      const lines = linesOf(values.filter((value) => !told.get(value.id)?.packed.equals(value.packed)));
      if (lines !== '' && !isOver) response.write(lines);
      return !isOver;
    },
    // A failed search looks the same as an empty one: that is the protocol.
    onDone: () => {
      if (!isOver) response.end();
      leave();
    },
  });
  if (isOver) cancel();
  else response.flushHeaders();
}

function linesOf(values: readonly Value[]): string {
  let lines = '';
  for (const value of values) if (isTrue(value)) lines += `${encodeValueJson(value)}\n`;
  return lines;
}
