import assert from 'node:assert/strict';
import { test } from 'node:test';
import { UsageError } from '@atoll/base';
import { describePlace, parsePostgresPlace } from './postgres-place.js';

test("libpq's two ways to name a database come to the same", () => {
  const pairs = parsePostgresPlace(
    "host = db.example dbname='turn db' user=coturn password='it\\'s' port=5433 connect_timeout=30 sslmode=require",
  );
  const url = parsePostgresPlace(
    'postgresql://coturn:it%27s@db.example:5433/turn%20db?connect_timeout=30&sslmode=require',
  );
  for (const place of [pairs, url]) {
    const { host, port, user, database, password, encryption } = place;
    assert.deepEqual(
      { host, port, user, database, password, encryption },
      { host: 'db.example', port: 5433, user: 'coturn', database: 'turn db', password: "it's", encryption: 'required' },
    );
    assert.equal(describePlace(place), 'turn db of coturn on db.example, port 5433');
  }
  const socket = parsePostgresPlace('postgres://turn@/turn?host=/run/db');
  assert.deepEqual([socket.host, socket.encryption, socket.database], ['/run/db', 'never', 'turn']);
  assert.equal(parsePostgresPlace('postgres://turn@[fd00::1]/').host, 'fd00::1');
  assert.equal(parsePostgresPlace('host=a user=turn').database, 'turn');
  assert.equal(parsePostgresPlace('host=a user=turn').encryption, 'preferred');
  assert.equal(parsePostgresPlace('host=a user=turn sslmode=verify-full').tls.rejectUnauthorized, true);
});

test('what is none is refused, and no password is shown', () => {
  for (const text of [
    'host=a secret=geheim',
    'just words, geheim',
    'host=a password=geheim port=http',
    'host=a,b password=geheim',
    'postgresql://u:geheim@host:port/x',
    'postgresql://u:geheim%@host/x',
    'host=a sslmode=maybe',
    'host=a sslrootcert=/none',
  ]) {
    assert.throws(
      () => parsePostgresPlace(text),
      (error: Error) => error instanceof UsageError && !error.message.includes('geheim'),
      text,
    );
  }
});
