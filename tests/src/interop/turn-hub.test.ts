import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { eventually, Lan } from '@atoll/testkit';
import { ATOLL, Scratch, type UclientResult, uclient } from './turn-server-process.js';

function makeCertificate(scratch: Scratch, name: string, into: readonly [string, string]): void {
  const [cert, key] = [scratch.file(`${name}.crt`), scratch.file(`${name}.key`)];
  const args = ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '30'];
  execFileSync('openssl', [...args, '-subj', `/CN=${name}`, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  execFileSync('mv', [key, into[1]]);
  execFileSync('mv', [cert, into[0]]);
}

test("a hub's TURN server speaks TLS and DTLS, takes a renewed certificate, and serves an address that comes later", async () => {
  await using lan = await Lan.create({ hosts: 2 });
  const [server, client] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  const files = [scratch.file('hub.crt'), scratch.file('hub.key')] as const;
  makeCertificate(scratch, 'first', files);
  const readyFile = scratch.file('ready.json');
  const services = ['--no-names', '--no-proxy', '--peer-discovery', 'false', '--turn-tls-port', '0'];
  const tls = ['--certificate', files[0], '--private-key', files[1]];
  const args = ['up', '--state', scratch.file('state'), '--ready-file', readyFile, ...services, ...tls];
  await using hub = server.spawn(process.execPath, [ATOLL, ...args], { LC_ALL: 'C' });
  await hub.waitForOutput(/TURN server: +\S+:3478/, 60_000);
  const { turn } = JSON.parse(readFileSync(readyFile, 'utf8')) as {
    turn: { tlsPort: number; user: string; password: string };
  };
  assert.ok(turn.tlsPort > 0);
  const talk = (address: string, ...how: string[]): Promise<UclientResult> =>
    uclient(client, '-u', turn.user, '-w', turn.password, '-y', '-n', '5', '-m', '1', ...how, address);
  const secure = ['-S', '-p', String(turn.tlsPort)];
  const shown = async (): Promise<string> => {
    await using handshake = client.spawn('openssl', ['s_client', '-connect', `${server.address}:${turn.tlsPort}`]);
    handshake.writeLine('Q');
    const [, name = ''] = await handshake.waitForOutput(/subject=CN = (\S+)/);
    return name;
  };
  assert.equal(await shown(), 'first');
  const during = talk(server.address, ...secure, '-z', '50');
  makeCertificate(scratch, 'second', files);
  const later = server.address.replace(/\d+$/, '177');
  server.exec('ip', 'addr', 'add', `${later}/24`, 'dev', 'eth0');
  await eventually(async () => (await shown()) === 'second', 'the renewed certificate was not taken');
  const opened = (): boolean => server.exec('ss', '-lun').includes(`${later}:${turn.tlsPort}`);
  await eventually(opened, 'the new address is not served');
  const results = await Promise.all([during, talk(later), talk(later, ...secure), talk(later, '-t')]);
  for (const result of results) {
    assert.equal(result.exitCode, 0, result.output.slice(-2000));
    assert.ok(result.sent > 0 && result.received === result.sent, result.output.slice(-2000));
  }
});
