// A DhtNode of the library on a host of the lab: one JSON object per line in and out. Started by LibraryNode.
import { createInterface } from 'node:readline';
import { errorMessage } from '@atoll/base';
import { DhtNode, type DhtNodeOptions, Query, Value } from '@atoll/dht';
import { ProxyClient } from '@atoll/dht-proxy';
import { InfoHash, loadIdentity } from '@atoll/identity';
import type { LibraryOrder, LibraryReport, LibrarySettings } from './library-node.js';

function say(report: LibraryReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

const settings = JSON.parse(process.argv[2] ?? '{}') as LibrarySettings;
const { identityPath, proxies, ...rest } = settings;
const options: DhtNodeOptions =
  identityPath === undefined
    ? rest
    : { ...rest, identity: await loadIdentity(`${identityPath}.crt`, `${identityPath}.pem`) };
const node = proxies === undefined ? await DhtNode.open({ port: 4222, ...options }) : new ProxyClient({ proxies });
say({ event: 'ready', id: node instanceof DhtNode ? node.id.toString() : '' });

const read = (hex: string): Value => {
  const value = Value.decode(Buffer.from(hex, 'hex'));
  if (value === undefined) throw new Error('no value');
  return value;
};
const written = (value: Value): string => value.packed.toString('hex');

async function carryOut(order: LibraryOrder): Promise<string[]> {
  const key = InfoHash.key(order.key ?? '');
  switch (order.do) {
    case 'connected':
      await node.connected();
      return [];
    case 'put':
      await node.put(key, read(order.value ?? ''), order.options);
      return [];
    case 'putSigned':
      return [written(await node.putSigned(key, read(order.value ?? '')))];
    case 'get':
      return (await node.get(key)).map(written);
    case 'overhear':
      if (!(node instanceof DhtNode)) throw new Error('a proxy opens nothing anyhow: listen');
      node.core.listen(key, Query.all, (values, isExpired) => {
        for (const value of values) say({ event: 'heard', value: written(value), isExpired });
        return true;
      });
      return [];
    case 'listen':
      void (async () => {
        for await (const { values, isExpired } of node.listen(key)) {
          for (const value of values) say({ event: 'heard', value: written(value), isExpired });
        }
      })();
      return [];
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as LibraryOrder;
  carryOut(order).then(
    (values) => say({ number: order.number, ok: true, values }),
    (error) => say({ number: order.number, ok: false, values: [errorMessage(error)] }),
  );
}
await node.close();
process.exit();
