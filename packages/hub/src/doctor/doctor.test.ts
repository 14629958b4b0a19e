import assert from 'node:assert/strict';
import { test } from 'node:test';
import { generateIdentity } from '@atoll/identity';
import { judgeAddresses } from './checks/check-addresses.js';
import { judgeBootstrap } from './checks/check-bootstrap.js';
import { judgeCertificate } from './checks/check-certificate.js';
import { judgeClock } from './checks/check-clock.js';
import { judgeDht } from './checks/check-dht.js';
import { judgeDns } from './checks/check-dns.js';
import { judgeFirewall } from './checks/check-firewall.js';
import { judgeLoss } from './checks/check-loss.js';
import { judgeMtu } from './checks/check-mtu.js';
import { judgeMulticast } from './checks/check-multicast.js';
import { judgeNames } from './checks/check-names.js';
import { judgeNat } from './checks/check-nat.js';
import { judgePorts, readBoundPorts } from './checks/check-ports.js';
import { judgeProxy } from './checks/check-proxy.js';
import { judgeResources } from './checks/check-resources.js';
import { judgeTurn } from './checks/check-turn.js';
import { findingOf, type Verdict } from './finding.js';
import { en, type FindingId } from './messages/en.js';
import { fr } from './messages/fr.js';

const idsOf = (verdicts: readonly Verdict[]): string[] => verdicts.map(({ id }) => id);

test('both languages say the same things, with the same places, and name a remedy where there is a fault', () => {
  const places = (text = ''): string[] => [...text.matchAll(/\{\w+\}/g)].map(String).sort();
  for (const id of Object.keys(en) as FindingId[]) {
    const english: { sentence: string; remedy?: string } = en[id];
    const french = fr[id];
    assert.deepEqual([...new Set(places(french.sentence))], [...new Set(places(english.sentence))], id);
    assert.deepEqual([...new Set(places(french.remedy))], [...new Set(places(english.remedy))], id);
    assert.equal(french.remedy === undefined, english.remedy === undefined, id);
  }
  const finding = findingOf({ id: 'dht-closed', severity: 'fault', facts: { host: 'h', port: 1 } }, 'fr');
  assert.match(finding.sentence, /^Rien n’écoute sur le port UDP 1 de h/);
});

test('addresses inside one computer are told apart from those that others reach', () => {
  const lan = [{ address: '192.168.1.5', internal: false }];
  const bridge = [{ address: '172.17.0.1', internal: false }];
  const facts = (interfaces: Record<string, typeof lan>, isContainer = false) => ({ interfaces, isContainer });
  assert.deepEqual(idsOf(judgeAddresses(facts({ eth0: lan, docker0: bridge }))), ['addresses-good']);
  assert.deepEqual(idsOf(judgeAddresses(facts({ docker0: bridge }))), ['only-container-address']);
  assert.deepEqual(idsOf(judgeAddresses(facts({ eth0: bridge }, true))), ['only-container-address']);
  assert.deepEqual(idsOf(judgeAddresses(facts({ eth0: bridge }))), ['addresses-good']);
  const linkLocal = [{ address: '169.254.3.4', internal: false }];
  assert.deepEqual(idsOf(judgeAddresses(facts({ eth0: linkLocal }))), ['no-address']);
});

test('multicast is judged by who answers the group and who answers directly', () => {
  const judge = (isLocal: boolean, fromGroup: string[], direct: string[]): string[] =>
    idsOf(judgeMulticast({ host: 'hub', isLocal, fromGroup, direct, own: ['me'] }));
  assert.deepEqual(judge(false, ['hub'], ['hub']), ['multicast-good']);
  assert.deepEqual(judge(false, [], ['hub']), ['multicast-blocked']);
  assert.deepEqual(judge(false, [], []), ['discovery-silent']);
  assert.deepEqual(judge(true, ['me'], ['me']), ['multicast-alone']);
  assert.deepEqual(judge(true, [], ['me']), ['multicast-blocked']);
});

test('NAT, clock, MTU, loss and resources are judged by their figures', () => {
  const nat = (mapped: string, fromOtherAddress?: string, fromOtherPort?: string): string[] =>
    idsOf(
      judgeNat({
        host: 'h',
        local: 'a:1',
        mapped,
        fromOtherAddress,
        fromOtherPort,
        hasOther: fromOtherAddress !== undefined,
      }),
    );
  assert.deepEqual(nat('a:1'), ['nat-none']);
  assert.deepEqual(nat('b:1'), ['nat-unknown']);
  assert.deepEqual(nat('b:1', 'b:1', 'b:1'), ['nat-easy']);
  assert.deepEqual(nat('b:1', 'b:2', 'b:3'), ['nat-hard']);
  assert.deepEqual(idsOf(judgeClock('h', 60_000)), ['clock-good']);
  assert.deepEqual(idsOf(judgeClock('h', -61_000)), ['clock-off']);
  assert.deepEqual(judgeClock('h', undefined), []);
  assert.deepEqual(idsOf(judgeMtu('h', 1500)), ['mtu-good']);
  assert.equal(judgeMtu('h', 1280)[0]?.facts?.bytes, 1280);
  const times = (lost: number): (number | undefined)[] =>
    Array.from({ length: 200 }, (_, i) => (i < lost ? undefined : i));
  assert.deepEqual(idsOf(judgeLoss('h', times(1))), ['loss-good']);
  assert.deepEqual(idsOf(judgeLoss('h', times(5))), ['loss-some']);
  assert.deepEqual(idsOf(judgeLoss('h', times(9))), ['loss-high']);
  assert.deepEqual(judgeLoss('h', times(200)), [], 'no way at all is no loss');
  const poor = { path: '/', freeDiskBytes: 1e6, freeMemoryBytes: 1e6, descriptors: 256 };
  assert.deepEqual(idsOf(judgeResources(poor)), ['disk-full', 'memory-low', 'descriptors-low']);
});

test('what listens, what is silent and what is there but does not work are told apart', () => {
  const dht = (ping: 'answered' | 'refused' | 'silent', givesBack = false): string[] =>
    idsOf(judgeDht({ host: 'h', port: 1, ping, givesBack }));
  assert.deepEqual([dht('answered', true), dht('answered')], [['dht-good'], ['dht-stores-nothing']]);
  assert.deepEqual([dht('refused'), dht('silent')], [['dht-closed'], ['dht-silent']]);
  assert.equal(judgeBootstrap('a:1', 'unresolved').id, 'bootstrap-unresolved');
  const answer = (status: number) => ({ status, date: undefined, body: '' });
  const place = { url: 'http://h:1', host: 'h', isAssumed: false };
  assert.equal(judgeProxy({ ...place, put: answer(503), givesBack: false }).id, 'proxy-zombie');
  assert.equal(judgeProxy({ ...place, isAssumed: true, put: 'refused', givesBack: false }).severity, 'warning');
  assert.equal(judgeNames({ ...place, answer: answer(404) }).id, 'names-good');
  assert.equal(judgeNames({ ...place, answer: answer(500) }).id, 'names-unwell');
  const credential = { kind: 'password' as const, user: 'u', password: 'p' };
  const turn = (allocation: number | 'silent', relays?: boolean, known = true): string =>
    judgeTurn({
      transport: 'TLS',
      host: 'h',
      port: 1,
      isAssumed: false,
      credential: known ? credential : undefined,
      allocation,
      relay: 'r:1',
      relays,
    }).id;
  assert.equal(turn(0, true), 'turn-good');
  assert.equal(turn(0, false), 'turn-relay-closed');
  assert.equal(turn(401), 'turn-password-wrong');
  assert.equal(turn(401, undefined, false), 'turn-unknown');
  assert.equal(turn(486), 'turn-refused');
  assert.equal(turn('silent'), 'turn-silent');
});

test('DNS is judged by what is needed of it', () => {
  const judge = (madeUp: string[] | 'unknown' | 'silent', names: [string, string[] | 'unknown' | 'silent'][] = []) =>
    idsOf(judgeDns({ server: 's', names: new Map(names), madeUp, hub: 'hub.lan', expected: ['10.0.0.1'] }));
  assert.deepEqual(judge('silent'), ['dns-unneeded']);
  assert.deepEqual(judge('unknown', [['hub.lan', ['10.0.0.1']]]), ['dns-good']);
  assert.deepEqual(judge('unknown', [['hub.lan', ['10.0.0.9']]]), ['dns-wrong-address']);
  assert.deepEqual(judge('unknown', [['hub.lan', 'unknown']]), ['dns-unknown-name']);
  assert.deepEqual(judge('silent', [['hub.lan', 'silent']]), ['dns-broken']);
  assert.deepEqual(judge(['10.9.9.9'], [['hub.lan', ['10.9.9.9']]]), ['dns-answers-everything']);
});

test('a certificate is judged by its times and its names', async () => {
  const { certificate } = await generateIdentity('hub', Date.UTC(2026, 0, 1), { kind: 'ec' });
  const { x509 } = certificate;
  const at = (unixMs: number): string => judgeCertificate(x509, { place: 'p', host: 'other', unixMs }).id;
  const ends = Date.parse(x509.validTo);
  assert.equal(at(ends + 1000), 'certificate-expired');
  assert.equal(at(Date.parse(x509.validFrom) - 1000), 'certificate-early');
  assert.equal(at(ends - 1000), 'certificate-name');
});

const PORTS = [{ service: 'dht', setting: 'dht-port', transport: 'UDP' as const, port: 4222 }];

function ruleset(policy: string, ...rules: unknown[][]): string {
  const place = { family: 'inet', table: 't' };
  return JSON.stringify({
    nftables: [
      { chain: { ...place, name: 'in', hook: 'input', prio: 0, policy } },
      { chain: { ...place, name: 'sub' } },
      ...rules.map((expr) => ({ rule: { ...place, chain: 'in', expr } })),
      { rule: { ...place, chain: 'sub', expr: [{ drop: null }] } },
    ],
  });
}

function dport(protocol: string, right: unknown): unknown {
  return { match: { op: '==', left: { payload: { protocol, field: 'dport' } }, right } };
}

test('firewall rules that keep a port closed are found, others are not', () => {
  const judge = (policy: string, ...rules: unknown[][]): string[] =>
    idsOf(judgeFirewall(ruleset(policy, ...rules), PORTS, 'input'));
  assert.deepEqual(judge('accept'), ['firewall-good']);
  assert.deepEqual(judge('drop'), ['firewall-drops']);
  assert.deepEqual(judge('drop', [dport('udp', { set: [{ range: [4000, 5000] }] }), { accept: null }]), [
    'firewall-good',
  ]);
  assert.deepEqual(judge('accept', [dport('udp', 4222), { drop: null }]), ['firewall-drops']);
  assert.deepEqual(judge('accept', [dport('th', 4222), { reject: null }]), ['firewall-drops']);
  assert.deepEqual(judge('accept', [dport('tcp', 4222), { drop: null }]), ['firewall-good']);
  const jump = { jump: { target: 'sub' } };
  assert.deepEqual(judge('accept', [dport('udp', 4222), jump]), ['firewall-drops']);
  const from = { match: { op: '==', left: { payload: { protocol: 'ip', field: 'saddr' } }, right: '10.0.0.1' } };
  assert.deepEqual(judge('accept', [from, dport('udp', 4222), { drop: null }]), ['firewall-good']);
  const isOld = { match: { op: 'in', left: { ct: { key: 'state' } }, right: ['established', 'related'] } };
  assert.deepEqual(judge('drop', [isOld, { accept: null }]), ['firewall-drops']);
});

test('a port that another program has is told by that program’s name', () => {
  const text =
    '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n' +
    '  5: 00000000:107E 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 777 2 0 0\n';
  const bound = readBoundPorts(text, 'UDP');
  assert.deepEqual(bound, [{ transport: 'UDP', port: 4222, inode: '777' }]);
  const owner = (): { pid: number; program: string } => ({ pid: 9, program: 'dhtnode' });
  const [found] = judgePorts(PORTS, bound, owner, undefined);
  assert.equal(found?.facts?.program, 'dhtnode (process 9)');
  assert.deepEqual(judgePorts(PORTS, bound, owner, 9), [], 'the hub may have its own port');
});
