import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JoinFacts } from '@atoll/hub';
import { APPS, likelyApp, placesOf } from './apps.js';

const FACTS: JoinFacts = {
  name: 'Reef',
  version: '0.1.0',
  bootstrap: '192.168.1.10:4222',
  proxy: 'http://192.168.1.10:8080',
  nameServer: 'http://192.168.1.10:8000',
  turn: { server: '192.168.1.10:3478', user: 'reef', password: 'sea', realm: 'atoll' },
  urls: ['http://192.168.1.10:8000/'],
  code: 'atoll:join?b=192.168.1.10:4222',
  isSecure: false,
};

test('every app is told each fact of the hub, in both languages', () => {
  for (const app of APPS) {
    for (const language of ['en', 'fr'] as const) {
      const values = placesOf(app, language, FACTS).flatMap(({ entries }) =>
        entries.flatMap((entry) => ('value' in entry ? [entry.value] : [])),
      );
      const expected = [FACTS.bootstrap, FACTS.nameServer, FACTS.turn?.server, FACTS.turn?.user, FACTS.turn?.password];
      // Android has no field for the realm.
      if (app !== 'android') expected.push(FACTS.turn?.realm);
      assert.deepEqual(values, [...expected, FACTS.proxy]);
    }
  }
});

test('a service that is off asks for nothing', () => {
  const { bootstrap, name, version, urls, code, isSecure } = FACTS;
  const places = placesOf('linux', 'en', { bootstrap, name, version, urls, code, isSecure });
  assert.deepEqual(
    places.map(({ purpose }) => purpose),
    ['dht'],
  );
});

test('the app of the device at hand comes first', () => {
  assert.equal(likelyApp('Mozilla/5.0 (Linux; Android 15; Pixel 8) AppleWebKit/537.36 Chrome/130.0'), 'android');
  assert.equal(likelyApp('Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X)'), 'ios');
  assert.equal(likelyApp('Mozilla/5.0 (X11; Linux x86_64; rv:130.0) Gecko/20100101 Firefox/130.0'), 'linux');
});
