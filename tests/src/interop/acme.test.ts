import assert from 'node:assert/strict';
import { test } from 'node:test';
import { eventually, type Host, Lan, type ManagedProcess, Pebble } from '@atoll/testkit';
import { ATOLL } from './atoll.js';
import { Scratch } from './turn-server-process.js';

const NAME = 'hub.school.example';
/** Renewed after two thirds of it. */
const LIFE_SECONDS = 36;

function startHub(host: Host, scratch: Scratch, args: readonly string[]): ManagedProcess {
  const state = ['--state', scratch.file(host.name), '--peer-discovery', 'false', '--mdns', 'false'];
  return host.spawn(process.execPath, [ATOLL, 'up', ...state, '--acme-domain', NAME, ...args], { LC_ALL: 'C' });
}

/** What `atoll` says of a hub, as the machine itself asks. */
function ask(host: Host, scratch: Scratch, ...command: string[]): string {
  return host.exec('env', 'LC_ALL=C', process.execPath, ATOLL, ...command, '--state', scratch.file(host.name));
}

test('a hub gets a certificate by ACME, shows it everywhere, and renews it without dropping a connection', async () => {
  await using lan = await Lan.create({ hosts: 3 });
  const [server, directory, visitor] = [lan.host(0), lan.host(1), lan.host(2)];
  using scratch = await Scratch.make();
  await using pebble = await Pebble.start(directory, { names: server.address, lifeSeconds: LIFE_SECONDS });
  const from = ['--acme-directory', pebble.directory, '--acme-authority', pebble.authority];
  await using hub = startHub(server, scratch, [...from, '--acme-email', 'me@school.example']);
  await hub.waitForOutput(/The hub has a new certificate/);

  const curl = (url: string): string => {
    const resolved = ['8444', '8443', '8001'].flatMap((port) => ['--resolve', `${NAME}:${port}:${server.address}`]);
    return visitor.exec('curl', '-sS', '--max-time', '20', '--cacert', pebble.root, ...resolved, url);
  };
  /** The certificate that is shown and that the root vouches for under the name, as soon as it is another than `old`. */
  const shown = async (port: number, how: readonly string[] = [], old?: string): Promise<string> => {
    const verified = ['-CAfile', pebble.root, '-verify_return_error', '-verify_hostname', NAME, '-servername', NAME];
    const place = ['-connect', `${server.address}:${port}`, ...how];
    let found: string | undefined;
    await eventually(
      async () => {
        await using handshake = visitor.spawn('openssl', ['s_client', ...place, ...verified]);
        handshake.writeLine('Q');
        const isVerified = (await handshake.ended()) === 0;
        found = /-----BEGIN CERTIFICATE-----[^-]+/.exec(handshake.output)?.[0];
        return isVerified && found !== undefined && found !== old;
      },
      `${place.join(' ')} does not show ${old === undefined ? 'what came by ACME' : 'the renewed certificate'}`,
    );
    return found ?? '';
  };
  const kept = visitor.spawn('openssl', ['s_client', '-quiet', '-crlf', '-connect', `${server.address}:8444`]);
  await using _kept = kept;
  const askKept = async (): Promise<void> => {
    const before = kept.output.length;
    kept.writeLine(`GET /healthz HTTP/1.1\nHost: ${NAME}:8444\n`);
    await kept.waitForOutput(/\nok\n/, undefined, before);
  };
  await askKept();

  const first = await shown(8444);
  const join = JSON.parse(curl(`https://${NAME}:8444/api/join`));
  assert.deepEqual([join.proxy, join.nameServer], [`https://${NAME}:8443`, `https://${NAME}:8001`]);
  assert.equal(join.authority, undefined, 'there is nothing to trust any more');
  assert.ok(join.urls.includes(`https://${NAME}:8444/`) && !join.urls.includes(`https://${server.address}:8444/`));
  assert.match(curl(`${join.proxy}/node/info`), /node_id/);
  assert.match(ask(server, scratch, 'join'), /devices trust already: +https:\/\/hub\.school\.example:8444\//);
  await shown(5349);
  await shown(5349, ['-dtls1_2']);

  await shown(8444, [], first);
  await shown(5349, [], first);
  await shown(5349, ['-dtls1_2'], first);
  await askKept();
  const { certificate } = JSON.parse(ask(server, scratch, 'status', '--json'));
  assert.deepEqual(
    [certificate.isAcme, certificate.isOwnAuthority, certificate.acme.problem],
    [true, false, undefined],
  );
  assert.doesNotMatch(hub.output, /tries again at/);
});

test('a hub whose directory is away goes on with its own authority, and says so once', async () => {
  await using lan = await Lan.create({ hosts: 2 });
  const [server, visitor] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  const directory = `https://${visitor.address}:14000/dir`;
  await using hub = startHub(server, scratch, ['--acme-directory', directory, '--acme-port', '8088']);
  const away = new RegExp(
    `The ACME directory ${visitor.address}:14000 cannot be reached: connect ECONNREFUSED .*tries again at`,
  );
  await hub.waitForOutput(away);
  await hub.waitForOutput(/Stop with Ctrl-C/);
  assert.equal(hub.output.match(/cannot be reached/g)?.length, 1);
  const page = `http://${server.address}:8088`;
  const authority = scratch.file('authority.pem');
  visitor.exec('curl', '-sS', '-o', authority, `${page}/trust/atoll.crt`);
  assert.match(visitor.exec('curl', '-sS', '--cacert', authority, `https://${server.address}:8444/healthz`), /ok/);
  const challenge = [`${page}/.well-known/acme-challenge/nothing`, '-H', `Host: ${NAME}`];
  assert.match(visitor.exec('curl', '-sS', ...challenge), /ACME_NO_CHALLENGE/, 'the portal answers on its port');
  assert.match(ask(server, scratch, 'status'), /ACME: The ACME directory .* cannot be reached.* Next attempt: \d{4}/);
  const doctor = ['env', `ATOLL_ACME_DOMAIN=${NAME}`, process.execPath, ATOLL, 'doctor', '--json'];
  const state = ['--state', scratch.file(server.name)];
  const said = server.exec('sh', '-c', '"$@" || true', 'sh', ...doctor, ...state);
  const { findings } = JSON.parse(said) as { findings: { id: string; sentence: string }[] };
  assert.match(findings.find(({ id }) => id === 'certificate-acme')?.sentence ?? '', /got no new certificate of hub/);
});
