// Test push services on a host of the lab: one JSON object per line in and out. Started by PushServices.
import { readFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { type ReceivedPushes, TestApns, TestDistributor, TestFcm, TestGateway } from '@atoll/testkit';
import type { PushLabSettings, PushReport, ServiceOrder } from './push-services.js';

const { address, folder } = JSON.parse(process.argv[2] ?? '{}') as PushLabSettings;

function say(report: PushReport): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

const distributor = await new TestDistributor().listen(address);
const fcm = await new TestFcm().listen(address);
const gateway = await new TestGateway().listen(address);
const read = (name: string): string => readFileSync(join(folder, name), 'utf8');
const apns = await new TestApns({ key: read('apns-tls.key'), cert: read('apns-tls.crt') }).listen(address);

const services: readonly (readonly [string, ReceivedPushes])[] = [
  ['distributor', distributor.received],
  ['fcm', fcm.received],
  ['gateway', gateway.received],
  ['apns', apns.received],
];
for (const [service, received] of services) {
  received.onPush = ({ path, headers, body, status }) =>
    say({ event: 'push', service, path, headers, body: body.toString('base64'), status });
}

createInterface({ input: process.stdin }).on('line', (line) => {
  const order = JSON.parse(line) as ServiceOrder;
  distributor.answers.set(order.path, { status: order.status, ...(order.headers && { headers: order.headers }) });
  say({ event: 'done' });
});

await writeFile(join(folder, 'service-account.json'), fcm.serviceAccount, { mode: 0o600 });
await writeFile(join(folder, `AuthKey_${apns.keyId}.p8`), apns.keyFile, { mode: 0o600 });
say({
  event: 'ready',
  distributor: distributor.url,
  fcm: fcm.url,
  gateway: gateway.url,
  apns: apns.url,
  apnsKeyId: apns.keyId,
  apnsTeam: apns.teamId,
});
