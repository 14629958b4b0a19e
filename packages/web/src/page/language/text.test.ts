import assert from 'node:assert/strict';
import { test } from 'node:test';
import { appText } from '../app/text.js';
import { designText } from '../design/text.js';
import { joinText } from '../portal/join/text.js';
import { networkText } from '../portal/network/text.js';
import { operatorText } from '../portal/operator/text.js';
import { qualityText } from '../portal/quality/text.js';
import { trustText } from '../portal/trust/text.js';
import { whyText } from '../portal/why/text.js';
import { ago, bytes } from './numbers.js';
import { plural } from './text.js';

const ALL = { appText, designText, joinText, networkText, operatorText, qualityText, trustText, whyText };
/** Said alike in both languages. */
const ALIKE = /^(Pages|Services|Android|iPhone, iPad|GNU\/Linux|Windows|macOS)$/;

for (const [name, text] of Object.entries(ALL)) {
  test(`${name} says everything in both languages`, () => {
    const [en, fr]: Record<string, unknown>[] = [text.en, text.fr];
    assert.deepEqual(Object.keys(fr ?? {}), Object.keys(en ?? {}));
    for (const [key, english] of Object.entries(en ?? {})) {
      const french = fr?.[key];
      assert.equal(typeof french, typeof english, key);
      if (typeof english === 'function' && typeof french === 'function') {
        // Every gap of one language is a gap of the other.
        const values = Array.from({ length: english.length }, (_, n) => `{${n}}`);
        for (const value of values) assert.ok(String(french(...values)).includes(value), `${key} leaves ${value} out`);
      } else {
        assert.notEqual(String(french).trim(), '', key);
        if (french === english) assert.match(String(english), ALIKE, `${key} is not translated`);
        // French typography: a space that does not break stands before these signs.
        assert.doesNotMatch(String(french), /([^\u00a0][?!;»]|[^\u00a0\d/]:)(\s|$)|«[^\u00a0]/, key);
      }
    }
  });
}

test('counts take the form of their language: nothing is plural in English and singular in French', () => {
  assert.equal(plural('en', 0, 'node', 'nodes'), 'nodes');
  assert.equal(plural('fr', 0, 'nœud', 'nœuds'), 'nœud');
  assert.equal(plural('fr', 2, 'nœud', 'nœuds'), 'nœuds');
});

test('sizes and spans are short and in the words of the language', () => {
  assert.equal(bytes('en', 0), '0\u00a0B');
  assert.equal(bytes('en', 1_500_000), '1.5 MB');
  assert.match(bytes('en', 2e15), /^2,000 TB$/);
  assert.match(bytes('fr', 1_500_000), /^1,5\sMo$/);
  assert.equal(ago('en', 5 * 60_000), '5 minutes ago');
  assert.equal(ago('fr', 2 * 3_600_000), 'il y a 2 heures');
  assert.equal(ago('en', 10), 'now');
});
