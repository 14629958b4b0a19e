// A DHT node with its proxy and the push layer on a host of the lab. Started by PushProxy.
import { join } from 'node:path';
import { silentLogger, systemClock, systemRandom } from '@atoll/base';
import { DhtNode } from '@atoll/dht';
import { DhtProxy, DirectPushService, openProxyServer, pushSettings } from '@atoll/dht-proxy';
import type { PushProxySettings } from './push-proxy.js';

const { folder, options, overrides, clockAheadMs } = JSON.parse(process.argv[2] ?? '{}') as PushProxySettings;
const PORT = 8080;

const node = await DhtNode.open({ port: 4222 });
const push = new DirectPushService(
  {
    clock: { nowMs: () => systemClock.nowMs(), unixMs: () => systemClock.unixMs() + clockAheadMs },
    random: systemRandom,
    logger: silentLogger,
    ownPorts: () => [PORT, 4222],
  },
  pushSettings(options, { databasePath: join(folder, 'push.db'), vapidKeyPath: join(folder, 'vapid.pem') }),
  overrides,
);
const proxy = new DhtProxy({ node: () => node, push }, { statePath: join(folder, 'proxy.db'), servesAlone: true });
await proxy.start();
const server = await openProxyServer(proxy, { listen: [{ port: PORT }] });
process.stdout.write(`ready ${push.stats.tokens} ${push.vapidPublicKey}\n`);

process.on('SIGUSR2', () => {
  process.stdout.write(`counts ${JSON.stringify([push.stats.tokens, ...push.counts])}\n`);
});
process.on('SIGTERM', () => {
  void server
    .close()
    .then(() => proxy.stop())
    .then(() => node.close())
    .then(() => process.exit(0));
});
