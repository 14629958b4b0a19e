import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { test } from 'node:test';
import { nativeDtls } from './index.js';

test('without its native part everything loads, and using DTLS says in a sentence that it is off', () => {
  const code = `
    const { createDtlsContext, nativeDtls } = await import(${JSON.stringify(new URL('./index.js', import.meta.url).href)});
    try {
      createDtlsContext({});
    } catch ({ code, message }) {
      console.log(JSON.stringify({ available: nativeDtls.available, code, message }));
    }`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], {
    encoding: 'utf8',
    env: { ...process.env, ATOLL_DTLS: 'off' },
  });
  assert.deepEqual(JSON.parse(output), {
    available: false,
    code: 'DTLS_OFF',
    message: 'DTLS is off: it is switched off by ATOLL_DTLS=off.',
  });
});

test('whether DTLS can be used is known, with the reason when it cannot', () => {
  assert.equal(nativeDtls.available, nativeDtls.reason === undefined);
});
