import assert from 'node:assert/strict';
import { test } from 'node:test';
import { directionOf, figuresOf, readFigures, snapshotOf } from './stream-figures.js';

/** Statistics as a browser gives them, after so many seconds of a good stream. */
function statistics(seconds: number, lost = 0): { [key: string]: unknown }[] {
  return [
    { type: 'transport', selectedCandidatePairId: 'P2' },
    { type: 'candidate-pair', id: 'P1', currentRoundTripTime: 9 },
    { type: 'candidate-pair', id: 'P2', currentRoundTripTime: 0.004, availableOutgoingBitrate: 6_000_000 },
    { type: 'codec', id: 'C', mimeType: 'video/VP8' },
    { type: 'media-source', kind: 'video', frames: 30 * seconds },
    { type: 'outbound-rtp', kind: 'video', framesSent: 29 * seconds },
    {
      type: 'inbound-rtp',
      kind: 'video',
      codecId: 'C',
      framesDecoded: 25 * seconds,
      freezeCount: seconds > 1 ? 1 : 0,
      totalFreezesDuration: seconds > 1 ? 0.25 : 0,
      packetsReceived: 400 * seconds - lost,
      packetsLost: lost,
      bytesReceived: 490_000 * seconds,
      headerBytesReceived: 10_000 * seconds,
      jitter: 0.002,
      frameWidth: 1920,
      frameHeight: 1080,
    },
  ];
}

test('figures are what happened between the first and the last snapshot', () => {
  const snapshots = [1, 2, 3].map((second) => snapshotOf(statistics(second, second === 3 ? 8 : 0), 1000 * second));
  const figures = figuresOf(snapshots);
  const { seconds, ...whole } = figures;
  assert.deepEqual(whole, {
    madeFramesPerSecond: 30,
    sentFramesPerSecond: 29,
    shownFramesPerSecond: 25,
    freezes: 1,
    freezeMs: 250,
    lossPercent: 1,
    jitterMs: 2,
    delayMs: 4,
    megabitsPerSecond: 4,
    availableMegabitsPerSecond: 6,
    width: 1920,
    height: 1080,
    codec: 'VP8',
  });
  assert.deepEqual(seconds, [
    { frames: 25, lossPercent: 0, delayMs: 4 },
    { frames: 25, lossPercent: 2, delayMs: 4 },
  ]);
  assert.deepEqual(readFigures(JSON.parse(JSON.stringify(figures))), figures);
});

test('a browser that says less, and one that says nonsense, give zeros', () => {
  const empty = snapshotOf([], 0);
  assert.equal(figuresOf([empty, empty]).shownFramesPerSecond, 0);
  assert.equal(readFigures({ freezes: 'many', seconds: [null], codec: 7 }).freezes, 0);
  assert.deepEqual(readFigures('x').seconds, []);
});

test('a direction takes from its sender what only the sender knows', () => {
  const base = readFigures({});
  const joined = directionOf({ ...base, madeFramesPerSecond: 30, freezes: 9 }, { ...base, shownFramesPerSecond: 28 });
  assert.deepEqual([joined.madeFramesPerSecond, joined.shownFramesPerSecond, joined.freezes], [30, 28, 0]);
});
