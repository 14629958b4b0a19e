import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { SeededRandom } from '@atoll/testkit';

const MAIN = fileURLToPath(new URL('power-loss-main.js', import.meta.url));
const LOSSES = 100;
const LANES = 2;
/** Things that are written before the end comes, at most. */
const MOST_WRITTEN = 60;
const KINDS = ['name', 'subscription', 'put', 'turn-user', 'value', 'node', 'push-key', 'ready.json', 'settings.json'];

/** What one place acknowledged so far. */
class Acknowledged {
  readonly things = new Set<string>();
  readonly counters = new Map<string, number>();

  /** Starts a writer, looks whether all is there that was acknowledged, and kills it while it writes. */
  async loseOnce(folder: string, round: number, killAfter: number): Promise<void> {
    const writer = spawn(process.execPath, [MAIN, folder, String(round)], { stdio: ['ignore', 'pipe', 'inherit'] });
    const exited = once(writer, 'exit');
    const there = new Set<string>();
    let isWriting = false;
    let written = 0;
    for await (const line of createInterface({ input: writer.stdout })) {
      const [word = '', ...rest] = line.split(' ');
      if (word === 'there') there.add(rest.join(' '));
      else if (word === 'writing') {
        isWriting = true;
        for (const thing of this.things)
          assert.ok(there.has(thing), `round ${round}: ${thing} was acknowledged and is gone`);
      } else if (word === 'counter') {
        const [name = '', text = ''] = rest;
        assert.ok(Number(text) >= (this.counters.get(name) ?? 0), `round ${round}: ${name} went back to ${text}`);
        this.counters.set(name, Number(text));
      } else if (word === 'done') this.things.add(rest.join(' '));
      if (isWriting && ++written >= killAfter) writer.kill('SIGKILL');
    }
    const [code, signal] = await exited;
    assert.equal(signal, 'SIGKILL', `round ${round}: the writer ended by itself with ${code}`);
  }
}

test('a hundred power losses during writes to every store lose nothing that was acknowledged', async () => {
  const seen = new Set<string>();
  await Promise.all(
    Array.from({ length: LANES }, async (_, lane) => {
      const folder = await mkdtemp(join(tmpdir(), 'atoll-power-'));
      const random = new SeededRandom(lane + 1);
      const acknowledged = new Acknowledged();
      try {
        for (let round = 0; round < LOSSES / LANES; round++) {
          await acknowledged.loseOnce(folder, round, 1 + random.below(MOST_WRITTEN));
        }
        for (const thing of acknowledged.things) seen.add(thing.split(' ')[0] ?? '');
        for (const [name, counter] of acknowledged.counters) if (counter > 0) seen.add(name);
      } finally {
        await rm(folder, { recursive: true, force: true });
      }
    }),
  );
  assert.deepEqual([...seen].sort(), [...KINDS].sort(), 'every store was written to');
});
