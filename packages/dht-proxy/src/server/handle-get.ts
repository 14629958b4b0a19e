import { type DhtNode, Query, type Value } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import { isTrue } from '../core/key-watches.js';
import { encodeValueJson } from '../wire/value-json.js';
import { answerLines, answerRefusal, beginLines } from './answer.js';
import { isRefusal } from './dht-proxy.js';
import type { RequestContext } from './request-context.js';

/** Lines found within this time go out together, ms. */
const GATHER_MS = 10;

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
  let hasBegun = false;
  let waiting = '';
  let cancel = (): void => {};
  const flush = (): void => {
    if (!hasBegun) beginLines(exchange);
    hasBegun = true;
    if (waiting === '') response.flushHeaders();
    else response.write(waiting);
    waiting = '';
  };
  // Most searches are done sooner, and then the answer is one packet; the others show that they are under way.
  const timer = setTimeout(flush, GATHER_MS);
  const leave = (): void => {
    if (isOver) return;
    isOver = true;
    clearTimeout(timer);
    operations.leave(address);
    cancel();
  };
  response.once('close', leave);
  const told = new Map(known.map((value) => [value.id, value]));
  waiting = linesOf(known);
  cancel = node.core.get(key, Query.all, {
    onValues: (values) => {
      waiting += linesOf(values.filter((value) => !told.get(value.id)?.packed.equals(value.packed)));
      if (hasBegun && waiting !== '' && !isOver) flush();
      return !isOver;
    },
    // A failed search looks the same as an empty one: that is the protocol.
    onDone: () => {
      if (isOver) return;
      if (hasBegun) response.end(waiting);
      else answerLines(exchange, waiting);
      leave();
    },
  });
  if (isOver) cancel();
}

function linesOf(values: readonly Value[]): string {
  let lines = '';
  for (const value of values) if (isTrue(value)) lines += `${encodeValueJson(value)}\n`;
  return lines;
}
