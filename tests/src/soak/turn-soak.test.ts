import { test } from 'node:test';
import { soakTurn } from './turn-soak.js';

test('a TURN server keeps nothing of clients that come and go for a minute and a half', async () => {
  await soakTurn(1.5, 300, (line) => console.log(line));
});
