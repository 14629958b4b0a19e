import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { eventually, Lan, PostgresServer } from '@atoll/testkit';
import { TurnDatabase } from '@atoll/turn';
import { ATOLL, Scratch, startTurn, type UclientResult, uclient } from './turn-server-process.js';

const FEW = ['-n', '5', '-m', '2', '-y'];

function lossless(result: UclientResult): void {
  assert.equal(result.exitCode, 0, result.output.slice(-2000));
  assert.ok(result.sent > 0 && result.received === result.sent, result.output.slice(-2000));
}

function atoll(...args: string[]): string {
  return execFileSync(process.execPath, [ATOLL, 'turnadmin', ...args], { encoding: 'utf8' });
}

test("coturn's PostgreSQL database serves both: users, secrets and rules of either's turnadmin, and it may go away", async () => {
  await using postgres = await PostgresServer.start();
  await using lan = await Lan.create({ hosts: 2 });
  const [server, client] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  const psql = (...args: string[]): string =>
    execFileSync('psql', [postgres.url, '-qAt', '-v', 'ON_ERROR_STOP=1', ...args], { encoding: 'utf8' });
  psql('-f', '/usr/share/coturn/schema.sql');
  // coturn's own way to name it, with a role that may use the tables and make none.
  psql('-c', 'CREATE ROLE coturn LOGIN; GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA public TO coturn');
  psql('-c', 'REVOKE CREATE ON SCHEMA public FROM PUBLIC');
  const place = `host=${new URL(postgres.url.replace('@/', '@h/')).searchParams.get('host')} dbname=postgres user=coturn`;
  const real = (...args: string[]): string =>
    execFileSync('turnadmin', [...args, '-e', place], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  real('-a', '-u', 'alice', '-p', 'wonder', '-r', 'ring');
  real('-s', 'geheim', '-r', 'ring');
  real('-O', '-o', 'https://one.example', '-r', 'one');
  real('-g', '-r', 'ring', '--user-quota=7');
  assert.match(atoll('-l', '-e', place), /alice\[ring\]/);
  assert.match(atoll('-S', '-e', place), /geheim\[ring\]/);
  assert.match(atoll('-I', '-e', place), /https:\/\/one\.example(:443)? ==>> one/);
  assert.match(atoll('-G', '-e', place), /user-quota\[ring\]=7/);
  atoll('-g', '-r', 'ring', '--user-quota', '0', '-e', place);
  atoll('-a', '-u', 'bob', '-p', 'old', '-r', 'ring', '-e', postgres.url);
  atoll('-a', '-u', 'bob', '-p', 'builder', '-r', 'ring', '-e', postgres.url);
  assert.match(real('-l'), /bob\[ring\]/);
  {
    const store = await TurnDatabase.openPostgres(place);
    await store.setOauthKey({
      kid: 'north',
      ikm_key: 'MDEyMzQ1Njc4OTAxMjM0NTY3ODkwMTIzNDU2Nzg5MDEK',
      as_rs_alg: 'A256GCM',
      timestamp: 0,
      lifetime: 0,
      realm: null,
    });
    const key = await store.oauthKey('north');
    assert.deepEqual([key?.timestamp, key?.lifetime, key?.as_rs_alg], [0, 0, 'A256GCM']);
    await store.close();
  }
  const common = ['-r', 'ring', '--no-tls', '--no-dtls', '-L', server.address];
  const secrets = ['--use-auth-secret', '--oauth', '--server-name', 'blackdow.carleon.gov'];
  const coturnArgs = ['-n', ...common, '-a', '-e', place, '-p', '3700', '--log-file', 'stdout'];
  await using _coturn = server.spawn('turnserver', coturnArgs);
  await using turn = await startTurn(server, scratch, ...common, '-a', '-e', place);
  await using _secretTurn = await startTurn(server, scratch, ...common, ...secrets, '-p', '3800', '-e', postgres.url);
  await eventually(() => server.exec('ss', '-lun').includes(':3700'), 'coturn did not start');
  real('-a', '-u', 'carol', '-p', 'late', '-r', 'ring');
  const as = (user: string, password: string, port = 3478): Promise<UclientResult> =>
    uclient(client, '-u', user, '-w', password, '-p', String(port), ...FEW, server.address);
  // A run of the client is mostly waiting: they run at once.
  const results = await Promise.all([
    as('bob', 'builder', 3700),
    as('alice', 'wonder'),
    as('bob', 'builder'),
    as('carol', 'late'),
    uclient(client, '-u', 'dave', '-W', 'geheim', '-p', '3800', ...FEW, server.address),
  ]);
  results.forEach(lossless);
  await postgres.crashAndRestart();
  lossless(await as('alice', 'wonder'));
  atoll('-d', '-u', 'carol', '-r', 'ring', '-e', place);
  assert.equal((await as('carol', 'late')).received, 0);
  // Rules are read anew every few seconds: from then on nobody is relayed to.
  psql('-c', "INSERT INTO denied_peer_ip VALUES ('ring', '0.0.0.0-255.255.255.255')");
  await eventually(async () => (await as('alice', 'wonder')).received === 0, 'the denied peers were not read');
  assert.doesNotMatch(turn.output, /does not answer/);
});

test('a database that cannot be used ends the start with a sentence, without the password; an empty one gets its tables', async () => {
  await using postgres = await PostgresServer.start();
  await using lan = await Lan.create({ hosts: 1 });
  const host = new URL(postgres.url.replace('@/', '@h/')).searchParams.get('host');
  const cases: [string, number, RegExp][] = [
    [
      `host=${host} dbname=none user=postgres password=geheim`,
      1,
      /user store none of postgres on \S+ cannot be used: database "none" does not exist/,
    ],
    [
      `host=127.0.0.1 port=1 dbname=turn user=turn password=geheim`,
      1,
      /user store turn of turn on 127\.0\.0\.1, port 1 cannot be used: .*ECONNREFUSED/,
    ],
    ['postgresql://turn:geheim@[oh', 2, /psql-userdb: this URL is none/],
  ];
  for (const [place, code, sentence] of cases) {
    const turn = lan
      .host(0)
      .spawn(process.execPath, [ATOLL, 'turn', '-n', '--check', '--no-tls', '--no-dtls', '-e', place]);
    assert.equal(await turn.ended(), code, turn.output);
    assert.match(turn.output, sentence);
    assert.doesNotMatch(turn.output, /geheim/);
  }
  atoll('-a', '-u', 'alice', '-p', 'wonder', '-r', 'ring', '-e', postgres.url);
  execFileSync('psql', [postgres.url, '-qc', 'CREATE ROLE stranger LOGIN']);
  assert.throws(
    () => atoll('-l', '-e', `host=${host} dbname=postgres user=stranger`),
    /user store postgres of stranger on \S+ cannot be used: permission denied for table turnusers_lt/,
  );
});
