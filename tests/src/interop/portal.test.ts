import assert from 'node:assert/strict';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test } from 'node:test';
import { eventually, type Host, Lan, type ManagedProcess } from '@atoll/testkit';
import { ATOLL } from './atoll.js';

/** Asks as another implementation of multicast DNS does, and prints what it heard as one line of JSON. */
const ZEROCONF = `
import json, sys, time
from zeroconf import IPVersion, ServiceBrowser, Zeroconf
zc = Zeroconf(ip_version=IPVersion.All)
names = set()
class Listener:
    def add_service(self, zc, kind, name): names.add(name)
    def update_service(self, zc, kind, name): pass
    def remove_service(self, zc, kind, name): names.discard(name)
browser = ServiceBrowser(zc, '_atoll._tcp.local.', Listener())
end = time.time() + 60
while time.time() < end and len(names) < 2: time.sleep(0.1)
found = []
for name in sorted(names):
    info = zc.get_service_info('_atoll._tcp.local.', name, 10000)
    if info: found.append({'server': info.server, 'port': info.port, 'addresses': sorted(info.parsed_addresses()),
        'https': info.properties.get(b'https', b'').decode()})
print(json.dumps(found))
zc.close()
`;

function startHub(host: Host, folder: string, name: string): ManagedProcess {
  const args = ['--state', join(folder, name), '--ready-file', join(folder, `${name}.json`), '--hub-name', name];
  return host.spawn(process.execPath, [ATOLL, 'up', ...args], { LC_ALL: 'C' });
}

test('two hubs are found by their names, trusted by their authorities, and see each other', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'atoll-portal-'));
  await using lan = await Lan.create({ hosts: 3, ipv6: true });
  const [one, two, visitor] = [lan.host(0), lan.host(1), lan.host(2)];
  try {
    await using first = startHub(one, folder, 'north');
    await first.waitForOutput(/known as atoll\.local/);
    await using second = startHub(two, folder, 'south');
    await second.waitForOutput(/known as atoll-2\.local/);
    await first.waitForOutput(/Operator’s page/);
    await second.waitForOutput(/Operator’s page/);

    const curl = (...args: string[]): string => visitor.exec('curl', '-sS', '--max-time', '20', ...args);
    const authority = join(folder, 'authority.pem');
    await writeFile(authority, curl(`http://${one.address}:8088/trust/atoll.crt`));
    for (const at of [`${one.address}:8444`, `[${one.address6}]:8444`, 'atoll.local:8444']) {
      const named = ['--resolve', `atoll.local:8444:${one.address}`, '--cacert', authority];
      const facts = JSON.parse(curl(...named, `https://${at}/api/join`));
      const here = at.startsWith('[') ? `[${one.address6}]:4222` : `${one.address}:4222`;
      assert.equal(facts.bootstrap, here, 'what is told is what works from there');
      assert.equal(facts.isSecure, true);
    }
    assert.throws(() => curl(`https://${one.address}:8444/`), /certificate/, 'nobody trusts it by himself');
    assert.match(curl('--cacert', authority, `https://${one.address}:8443/node/info`), /node_id/, 'the proxy, too');
    assert.match(
      visitor.exec('openssl', 'verify', '-CAfile', authority, join(folder, 'north/authority/hub.crt')),
      /OK/,
    );
    const gnutls = ['--x509cafile', authority, '--verify-hostname', 'atoll.local', '-p', '8444', one.address];
    assert.match(visitor.exec('sh', '-c', 'gnutls-cli "$@" < /dev/null', 'sh', ...gnutls), /certificate is trusted/);

    const reached = JSON.parse(curl('-4', `http://${one.address}:8088/api/reach`));
    assert.deepEqual([reached.address, reached.isProxySeen, reached.isDhtSeen], [visitor.address, true, false]);
    assert.throws(() => curl('-f', `http://${one.address}:8088/metrics`), /403/);
    assert.match(one.exec('curl', '-sS', `http://127.0.0.1:8088/metrics`), /atoll_service_up\{service="turn"\} 1/);

    const seenBy = async (host: Host): Promise<string[]> =>
      JSON.parse(host.exec('curl', '-sS', 'http://127.0.0.1:8088/api/network')).hubs.map(
        ({ name, url }: { name: string; url: string }) => `${name} ${url}`,
      );
    await eventually(
      async () => (await seenBy(one)).includes(`south http://${two.address}:8088/`),
      'the first hub does not see the second',
    );
    await eventually(
      async () => (await seenBy(two)).includes(`north http://${one.address}:8088/`),
      'the second hub does not see the first',
    );
    const script = join(folder, 'listen.py');
    await writeFile(script, ZEROCONF);
    const heard = JSON.parse(visitor.exec('/usr/bin/python3', script));
    const expected = [
      { server: 'atoll.local.', port: 8088, addresses: [one.address, one.address6].sort(), https: '8444' },
      { server: 'atoll-2.local.', port: 8088, addresses: [two.address, two.address6].sort(), https: '8444' },
    ];
    assert.deepEqual(heard, expected);

    const status = JSON.parse(one.exec(process.execPath, ATOLL, 'status', '--json', '--state', join(folder, 'north')));
    const running = status.services
      .filter(({ isOn }: { isOn: boolean }) => isOn)
      .map(({ name }: { name: string }) => name);
    assert.deepEqual(running, ['dht', 'proxy', 'names', 'turn', 'portal']);
    assert.match(status.operatorLink, /^https:.*#link=/);
    const ready = JSON.parse(await readFile(join(folder, 'north.json'), 'utf8'));
    assert.equal(ready.portal.urlTls, `https://${one.address}:8444/`);

    const before = visitor.exec('sh', '-c', `openssl s_client -connect ${one.address}:8444 </dev/null 2>&1`);
    one.exec('ip', 'addr', 'add', one.address.replace(/\.1$/, '.101/24'), 'dev', 'eth0');
    const moved = one.address.replace(/\.1$/, '.101');
    await eventually(() => {
      try {
        curl('--cacert', authority, `https://${moved}:8444/healthz`);
        return true;
      } catch {
        return false;
      }
    }, 'the certificate did not follow the new address');
    assert.match(before, /Verify return code/);
    await second.stop();
    await eventually(async () => (await seenBy(one)).length === 0, 'a hub that said goodbye is still shown');
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
});
