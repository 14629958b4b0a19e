import { type DhtNode, type Value, withSomeId } from '@atoll/dht';
import type { InfoHash } from '@atoll/identity';
import type { PutOwner, PutRequest } from '../wire/requests.js';
import { decodePutRequest } from '../wire/requests.js';
import { encodeValueJson } from '../wire/value-json.js';
import { answer, answerNoRoute, answerRefusal, faultError } from './answer.js';
import { type DhtProxy, isRefusal } from './dht-proxy.js';
import type { Refusal } from './limits.js';
import type { RequestContext } from './request-context.js';

const PUT_FAILED = '{"err":"Put failed"}';
const NO_DESTINATION = '{"err":"No destination found"}';

/** `POST /key/H`: stores a value, and keeps it when it is permanent (protocol/dht-proxy.md 9). */
export async function handlePut(context: RequestContext, key: InfoHash): Promise<void> {
  const { proxy, exchange, address } = context;
  const body = await exchange.body({ maxBytes: proxy.keeper.limits.bodyBytes });
  const decoded = decodePutRequest(body);
  if (typeof decoded === 'string') throw faultError(decoded);
  const node = proxy.usableNode();
  const refusal = isRefusal(node) ? node : refusalOf(proxy, node, address, key, decoded);
  if (refusal !== undefined || isRefusal(node)) {
    if (refusal !== undefined) answerRefusal(exchange, refusal);
    return;
  }
  const { permanent } = decoded;
  const value =
    permanent === undefined ? withSomeId(decoded.value) : keep(proxy, address, key, decoded.value, permanent);
  const isStored = await store(proxy, address, node, key, value, permanent !== undefined);
  if (isStored) answer(exchange, 200, `${encodeValueJson(value)}\n`);
  else answer(exchange, 502, PUT_FAILED);
}

/** `POST /key/H/sign` and `/encrypt`: with the node's own identity, where its operator opened it (protocol/dht-proxy.md 12). */
export async function handleOwnPut(context: RequestContext, key: InfoHash, kind: 'sign' | 'encrypt'): Promise<void> {
  const { proxy, exchange, address } = context;
  const node = proxy.usableNode();
  if (!proxy.isIdentityOpen || (!isRefusal(node) && node.identity === undefined)) {
    answerNoRoute(exchange);
    return;
  }
  const body = await exchange.body({ maxBytes: proxy.keeper.limits.bodyBytes });
  const decoded = decodePutRequest(body);
  if (typeof decoded === 'string') throw faultError(decoded);
  const refusal = isRefusal(node) ? node : refusalOf(proxy, node, address, key, decoded);
  if (refusal !== undefined || isRefusal(node)) {
    if (refusal !== undefined) answerRefusal(exchange, refusal);
    return;
  }
  if (kind === 'encrypt' && decoded.to.isZero) {
    answer(exchange, 400, NO_DESTINATION);
    return;
  }
  const named = withSomeId(decoded.value);
  let own: Value;
  try {
    own = kind === 'sign' ? await node.sign(key, named) : await node.seal(named, decoded.to);
  } catch {
    // The recipient's key is nowhere to be found.
    answer(exchange, 502, PUT_FAILED);
    return;
  }
  const isStored = await store(proxy, address, node, key, own, false);
  if (isStored) answer(exchange, 200, `${encodeValueJson(kind === 'sign' ? own : named)}\n`);
  else answer(exchange, 502, PUT_FAILED);
}

function refusalOf(
  proxy: DhtProxy,
  node: DhtNode,
  address: string,
  key: InfoHash,
  put: PutRequest,
): Refusal | undefined {
  const { keeper, puts } = proxy;
  const { valueBytes } = keeper.limits;
  const { length } = put.value.packed;
  if (length > valueBytes) {
    return { status: 413, reason: `A value may have ${valueBytes} bytes; this one has ${length}.` };
  }
  const isNewPermanent = put.permanent !== undefined && puts.get(key, put.value.id) === undefined;
  const tooManyPermanent = isNewPermanent ? keeper.refusePermanentPut(puts.countOf(address), puts.size) : undefined;
  return (
    tooManyPermanent ??
    keeper.refuseStorage(node.core.storage.totals.localBytes) ??
    keeper.refuseOperation(address) ??
    keeper.refusePut(address, length)
  );
}

/** Keeps a permanent put; without an id it may be one that is there already, whose value is then the answer. */
function keep(proxy: DhtProxy, address: string, key: InfoHash, value: Value, owner: PutOwner): Value {
  const same = value.id === 0n ? proxy.puts.findSame(key, value, owner)?.value : undefined;
  return proxy.puts.keep(key, same ?? withSomeId(value), owner, address).value;
}

/** The latest put under each key and id that is under way: see {@link store}. */
const underWay = new WeakMap<DhtNode, Map<string, Promise<boolean>>>();

/**
 * Puts, and says whether it came to be. A put that another one of the same id replaces before it is done shares that
 * one's fate: both clients hear what became of the value (trap 13).
 */
async function store(
  proxy: DhtProxy,
  address: string,
  node: DhtNode,
  key: InfoHash,
  value: Value,
  isPermanent: boolean,
): Promise<boolean> {
  const { operations } = proxy.keeper;
  let latest = underWay.get(node);
  if (latest === undefined) {
    latest = new Map();
    underWay.set(node, latest);
  }
  const name = `${key.binary}${value.id}`;
  operations.enter(address);
  const own = new Promise<boolean>((resolve) => {
    // Alone, the node itself is the DHT: what it holds is stored.
    node.core.put(key, value, { isPermanent }, (ok) => resolve(ok || proxy.health.isAlone));
  });
  latest.set(name, own);
  try {
    for (let waited = own; ; ) {
      if (await waited) return true;
      const newer: Promise<boolean> | undefined = latest.get(name);
      if (newer === undefined || newer === waited) return false;
      waited = newer;
    }
  } finally {
    operations.leave(address);
    if (latest.get(name) === own) latest.delete(name);
  }
}
