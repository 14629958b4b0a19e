import assert from 'node:assert/strict';
import { test } from 'node:test';
import { parseIp } from '@atoll/base';
import { classifyAddress, isInRange, parseRange } from './address-class.js';
import { AllowList } from './allow-list.js';
import { EndpointGuard, type GuardOptions } from './endpoint-guard.js';

/** Every way to write, or to hide, an address that must not be reached. */
const NEVER = [
  // loopback
  'https://127.0.0.1/',
  'https://127.0.0.1:8443/up',
  'https://127.1/',
  'https://127.0.1/',
  'https://127.255.255.254/',
  'https://0x7f.1/',
  'https://0x7f.0.0.1/',
  'https://0x7f000001/',
  'https://2130706433/',
  'https://017700000001/',
  'https://0177.0.0.1/',
  'https://0177.0.0.01/',
  'https://00000177.1/',
  'https://127.0.0.1./',
  'https://127.0.0.0x1/',
  'https://[::1]/',
  'https://[0:0:0:0:0:0:0:1]/',
  'https://[::0001]/',
  'https://localhost/',
  'https://LOCALHOST:8443/',
  'https://localhost./',
  'https://push.localhost/',
  'https://①②⑦.⓪.⓪.①/',
  'https://１２７.０.０.１/',
  'https://127。0。0。1/',
  'https://%31%32%37.0.0.1/',
  'https://127%2e0%2e0%2e1/',
  // unspecified and "this network"
  'https://0.0.0.0/',
  'https://0/',
  'https://0.1.2.3/',
  'https://[::]/',
  'https://[::0]/',
  // v4-mapped, v4-compatible, translated, NAT64, 6to4, Teredo, ISATAP
  'https://[::ffff:127.0.0.1]/',
  'https://[::ffff:7f00:1]/',
  'https://[::ffff:10.0.0.1]/',
  'https://[::ffff:169.254.169.254]/',
  'https://[::127.0.0.1]/',
  'https://[::ffff:0:127.0.0.1]/',
  'https://[64:ff9b::127.0.0.1]/',
  'https://[64:ff9b::7f00:1]/',
  'https://[64:ff9b::a9fe:a9fe]/',
  'https://[64:ff9b::10.0.0.1]/',
  'https://[64:ff9b:1::1]/',
  'https://[2002:7f00:1::]/',
  'https://[2002:a9fe:a9fe::1]/',
  'https://[2002:c0a8:101::1]/',
  'https://[2001:0:7f00:1::]/',
  'https://[2a00:1450::5efe:7f00:1]/',
  'https://[2a00:1450::200:5efe:a00:1]/',
  // link-local, site-local and the cloud's metadata
  'https://169.254.1.1/',
  'https://169.254.169.254/latest/meta-data/',
  'https://169.254.170.2/',
  'https://0xa9fea9fe/',
  'https://2852039166/',
  'https://[fe80::1]/',
  'https://[fe80::a9fe:a9fe]/',
  'https://[febf::1]/',
  'https://[fec0::1]/',
  'https://[fd00:ec2::254]/',
  'https://[fd20:ce::254]/',
  'https://100.100.100.200/',
  'https://168.63.129.16/',
  'https://192.0.0.192/',
  // groups and ranges for other things
  'https://224.0.0.1/',
  'https://239.192.0.1/',
  'https://255.255.255.255/',
  'https://240.0.0.1/',
  'https://[ff02::1]/',
  'https://[ff0e::1]/',
  'https://198.18.0.1/',
  'https://192.0.2.1/',
  'https://198.51.100.1/',
  'https://203.0.113.1/',
  'https://192.88.99.1/',
  'https://[100::1]/',
  'https://[2001:db8::1]/',
  'https://[3fff::1]/',
  'https://[4000::1]/',
  // private, not allowed
  'https://10.0.0.1/',
  'https://172.16.0.1/',
  'https://172.31.255.255/',
  'https://192.168.1.1/',
  'https://0xc0a80101/',
  'https://192.168.257/',
  'https://100.64.0.1/',
  'https://[fd12:3456::1]/',
  'https://[fc00::1]/',
  'https://router/',
  'https://ntfy/',
  'https://metadata/',
  // other schemes, and texts that are read differently by different readers
  'http://8.8.8.8/',
  'ftp://push.example.org/',
  'file:///etc/passwd',
  'gopher://push.example.org/',
  '//push.example.org/',
  'https:push.example.org',
  'https:///push.example.org/',
  'https://user@push.example.org/',
  'https://user:pw@push.example.org/',
  'https://push.example.org@127.0.0.1/',
  'https://push.example.org\\@127.0.0.1/',
  'https:\\\\push.example.org/',
  'https://127.0.0.1\t/',
  'https://push.example.org/\r\nHost: x',
  ' https://push.example.org/',
  'https://push.example.org/ x',
  'https://push.exämple.org/',
  'https://[fe80::1%25eth0]/',
  'https://[::1/',
  'https://push..example.org/',
  'https://.example.org/',
  'https://push.example.org:0/',
  'https://push.example.org:99999/',
  'https://',
  'https:///',
  '',
  'push.example.org',
  // ports of other services
  'https://push.example.org:22/',
  'https://push.example.org:25/',
  'https://8.8.8.8:53/',
  'https://8.8.8.8:80/',
  `https://push.example.org/${'x'.repeat(1000)}`,
];

interface World {
  readonly allow?: readonly string[];
  readonly names?: Readonly<Record<string, readonly string[]>>;
  readonly own?: readonly string[];
  readonly options?: Partial<GuardOptions>;
}

function guardOf(world: World = {}): EndpointGuard {
  return new EndpointGuard(
    {
      resolve: async (name) => world.names?.[name] ?? [],
      ownAddresses: () => world.own ?? ['198.20.0.9', '192.168.1.2'],
    },
    { allow: new AllowList(world.allow ?? []), ownPorts: () => [8080, 4222], isHttpAllowed: false, ...world.options },
  );
}

/** What a guard says at last: where the connection goes, or why there is none. */
async function verdict(guard: EndpointGuard, text: string): Promise<readonly string[] | string> {
  const endpoint = guard.read(text);
  if (typeof endpoint === 'string') return endpoint;
  const addresses = await guard.addressesOf(endpoint);
  return typeof addresses === 'string' ? addresses : addresses.map((ip) => Buffer.from(ip, 'latin1').toString('hex'));
}

const passes = (found: readonly string[] | string): boolean => typeof found !== 'string';

test(`none of ${NEVER.length} disguises gets past the text`, () => {
  assert.ok(NEVER.length > 100);
  const guard = guardOf();
  for (const text of NEVER) assert.equal(typeof guard.read(text), 'string', text);
});

test('a wide allow list opens the private network, and nothing of the machine, its link or the cloud', async () => {
  const guard = guardOf({ allow: ['10.0.0.0/8', '192.168.0.0/16', '100.64.0.0/10', 'fc00::/7', '2000::/3'] });
  for (const text of ['https://10.0.0.1/', 'http://192.168.1.1/', 'http://[fd12:3456::1]/', 'https://100.64.0.1/']) {
    assert.ok(passes(await verdict(guard, text)), text);
  }
  const still = NEVER.filter((text) => !/^https:\/\/(10\.0\.0|192\.168\.1\.1|100\.64|\[fd12|\[fc00)/.test(text));
  assert.ok(still.length > 100);
  for (const text of still) assert.equal(typeof (await verdict(guard, text)), 'string', text);
});

test('whatever a name stands for is judged like an address', async () => {
  const bad = [
    '127.0.0.1',
    '127.8.8.8',
    '0.0.0.0',
    '::1',
    '::',
    '169.254.169.254',
    'fe80::1',
    'fe80::1%2',
    '::ffff:127.0.0.1',
    '64:ff9b::7f00:1',
    '2002:7f00:1::',
    '10.0.0.1',
    '192.168.1.1',
    'fd00:ec2::254',
    '100.100.100.200',
    '224.0.0.1',
    '255.255.255.255',
    '198.20.0.9',
    'ff02::1',
    '::127.0.0.1',
    'nonsense',
    '',
  ];
  for (const address of bad) {
    const alone = guardOf({ names: { 'push.example.org': [address] } });
    assert.ok(!passes(await verdict(alone, 'https://push.example.org/up')), address);
    const amongGood = guardOf({ names: { 'push.example.org': ['9.9.9.9', address] } });
    assert.ok(!passes(await verdict(amongGood, 'https://push.example.org/up')), address);
  }
  const good = guardOf({ names: { 'push.example.org': ['9.9.9.9', '2620:fe::fe', '64:ff9b::909:909'] } });
  assert.deepEqual(await verdict(good, 'https://push.example.org:8443/up?x=1'), [
    '09090909',
    '262000fe0000000000000000000000fe',
    '0064ff9b000000000000000009090909',
  ]);
  assert.ok(!passes(await verdict(good, 'https://unknown.example.org/')));
  const many = Array.from({ length: 17 }, (_, at) => `9.9.9.${at}`);
  assert.ok(!passes(await verdict(guardOf({ names: { 'push.example.org': many } }), 'https://push.example.org/')));
});

test('an answer of the DNS that changes changes nothing that was not looked at', async () => {
  const answers = [['9.9.9.9'], ['127.0.0.1'], ['9.9.9.9', '::1']];
  const guard = new EndpointGuard(
    { resolve: async () => answers.shift() ?? [], ownAddresses: () => [] },
    { allow: new AllowList([]), ownPorts: () => [], isHttpAllowed: false },
  );
  const found = [];
  for (let time = 0; time < 3; time++) found.push(await verdict(guard, 'https://rebind.example.org/'));
  assert.deepEqual(found.map(passes), [true, false, false]);
});

test('the operator lists hosts of the local network by name, address or network, each with its ports', async () => {
  const names = {
    'ntfy.lan': ['192.168.1.7'],
    'other.lan': ['192.168.1.7'],
    ntfy: ['192.168.1.7'],
    'far.example.org': ['192.168.2.9'],
  };
  const guard = guardOf({
    names,
    allow: ['ntfy.lan:2586', 'ntfy', '192.168.2.0/24:8081', '[fd00::/16]:8443', '[fd01::5]:80'],
  });
  const yes = [
    'http://ntfy.lan:2586/up',
    'https://NTFY.lan:2586/up',
    'http://ntfy.lan.:2586/up',
    'http://ntfy/up',
    'https://ntfy/up',
    'http://192.168.2.3:8081/',
    'http://far.example.org:8081/up',
    'https://[fd00::1]:8443/',
    'http://[fd01::5]/',
  ];
  for (const text of yes) assert.ok(passes(await verdict(guard, text)), `${text}: ${await verdict(guard, text)}`);
  const no = [
    'http://ntfy.lan/up',
    'http://ntfy.lan:2587/up',
    'http://other.lan:2586/up',
    'https://other.lan:2586/',
    'http://192.168.1.7:2586/',
    'http://192.168.2.3:8082/',
    'http://192.168.3.3:8081/',
    'http://far.example.org/',
    'http://[fd01::6]/',
    'http://x.ntfy.lan:2586/',
  ];
  for (const text of no) assert.ok(!passes(await verdict(guard, text)), text);
});

test('a listed name that leads to loopback or the metadata service leads nowhere', async () => {
  for (const address of ['127.0.0.1', '::1', '169.254.169.254', 'fd00:ec2::254', '0.0.0.0', '224.0.0.1']) {
    const guard = guardOf({ names: { 'ntfy.lan': [address] }, allow: ['ntfy.lan', '0.0.0.0/0', '::/0'].slice(0, 1) });
    assert.ok(!passes(await verdict(guard, 'http://ntfy.lan/up')), address);
  }
});

test("this machine's addresses are reached only where the operator says so, and never at the hub's ports", async () => {
  const names = { 'hub.example.org': ['198.20.0.9'], 'hub.lan': ['192.168.1.2'] };
  assert.ok(!passes(await verdict(guardOf({ names }), 'https://hub.example.org/')));
  assert.ok(!passes(await verdict(guardOf({ names }), 'https://198.20.0.9:9443/')));
  const open = guardOf({
    names,
    allow: ['192.168.1.2:2586', '192.168.1.2:8080', 'hub.lan:8080', '192.168.1.0/24:4222'],
  });
  assert.ok(passes(await verdict(open, 'http://192.168.1.2:2586/')));
  for (const text of [
    'http://192.168.1.2:8080/',
    'http://hub.lan:8080/',
    'http://192.168.1.2:4222/',
    'http://hub.lan:9000/',
  ]) {
    assert.ok(!passes(await verdict(open, text)), text);
  }
});

test('the operator may let distributors of the Internet go without TLS', async () => {
  const guard = guardOf({ names: { 'push.example.org': ['9.9.9.9'] }, options: { isHttpAllowed: true } });
  assert.ok(passes(await verdict(guard, 'http://push.example.org/up')));
  assert.ok(passes(await verdict(guard, 'http://9.9.9.9:8000/up')));
  for (const text of ['http://127.0.0.1/', 'http://push.example.org:25/', 'http://192.168.1.9/']) {
    assert.ok(!passes(await verdict(guard, text)), text);
  }
});

test('an entry that would open this machine itself, or that nobody can read, is a usage error', () => {
  const bad = [
    '127.0.0.1',
    '127.0.0.0/8',
    '::1',
    '[::1]:80',
    'localhost',
    'x.localhost:8080',
    '169.254.0.0/16',
    'fe80::/10',
    '0.0.0.0/0',
    '::/0',
    '224.0.0.0/4',
    '',
    ':80',
    'ntfy.lan:',
    'ntfy.lan:99999',
    'ntfy.lan:x',
    '192.168.1.1/24',
    '192.168.1.0/33',
    'a b',
    '0x7f.1',
    '2130706433',
    'http://ntfy.lan',
    '[fd00::]:0',
  ].filter((text) => text !== 'ntfy.lan:');
  for (const text of bad) assert.throws(() => new AllowList([text]), { code: 'USAGE' }, text);
});

test('ranges are compared by their bits', () => {
  const inside = (ip: string, range: string): boolean => {
    const parsed = parseRange(range);
    assert.ok(parsed, range);
    return isInRange(parseIp(ip) ?? '', parsed);
  };
  assert.ok(inside('172.31.255.255', '172.16.0.0/12'));
  assert.ok(!inside('172.32.0.0', '172.16.0.0/12'));
  assert.ok(!inside('::ac10:1', '172.16.0.0/12'));
  assert.ok(inside('febf::1', 'fe80::/10'));
  assert.ok(!inside('fec0::1', 'fe80::/10'));
  assert.equal(classifyAddress(parseIp('172.32.0.1') ?? ''), 'public');
  assert.equal(classifyAddress(parseIp('2a00:1450::1') ?? ''), 'public');
  assert.equal(classifyAddress(''), 'reserved');
});
