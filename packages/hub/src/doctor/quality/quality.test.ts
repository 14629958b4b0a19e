import assert from 'node:assert/strict';
import { test } from 'node:test';
import { Endpoint, systemRandom } from '@atoll/base';
import { VirtualNetwork } from '@atoll/testkit';
import { CAMERA_FRAME_BYTES, SCREEN_FRAME_BYTES } from './core/frame-sizes.js';
import { PacedStream, type StreamShape } from './core/paced-stream.js';
import {
  COOKIE_BYTES,
  decodeQuality,
  encodeQuality,
  HEADER_BYTES,
  type QualityPacket,
  qualityKey,
} from './core/quality-packet.js';
import { QualityResponder } from './core/quality-responder.js';
import { StreamAccount, type StreamFigures } from './core/stream-account.js';

const KEY = qualityKey('token');
const camera: StreamShape = { frameBytes: CAMERA_FRAME_BYTES, framesPerSecond: 30, durationMs: 5000 };
const screen: StreamShape = { frameBytes: SCREEN_FRAME_BYTES, framesPerSecond: 120, durationMs: 5000 };
const hello: QualityPacket = {
  kind: 'hello',
  stream: 0,
  sequence: 0,
  theirMs: 0,
  theirCount: 0,
  cookie: Buffer.alloc(COOKIE_BYTES),
};

/** A whole test on a virtual network. */
function run(shape: StreamShape, loss: number, delayMs: readonly [number, number]): StreamFigures {
  const world = new VirtualNetwork({ seed: 3, loss: 0, delayMs });
  const { clock } = world;
  const responder = new QualityResponder({ clock, random: systemRandom }, KEY);
  const there = world.host({ loss }).open(4223, (bytes, from) => {
    const answer = responder.receive(bytes, from);
    if (answer !== undefined) there.send(answer, from);
  });
  let cookie = Buffer.alloc(COOKIE_BYTES);
  const stream = new PacedStream(shape, 1000);
  const account = new StreamAccount(() => stream.requestKeyFrame());
  const host = world.host();
  const here = host.open(5000, (bytes) => {
    const packet = decodeQuality(KEY, bytes);
    if (typeof packet === 'string') return;
    if (packet.kind === 'cookie') cookie = Buffer.from(packet.cookie);
    else account.arrived(packet.sequence, packet.theirCount, clock.nowMs());
  });
  const asking = host.alarm(() => {
    here.send(encodeQuality(KEY, hello), there.endpoint);
    if (cookie.every((byte) => byte === 0)) asking(clock.nowMs() + 100);
  });
  asking(0);
  const wake = host.alarm(() => {
    const nowMs = clock.nowMs();
    for (const packet of stream.take(nowMs)) {
      account.sent(packet, nowMs);
      const data = { ...hello, kind: 'data' as const, sequence: packet.sequence, cookie };
      here.send(encodeQuality(KEY, data, packet.bytes), there.endpoint);
    }
    wake(stream.dueMs);
  });
  wake(stream.dueMs);
  world.runFor(1000 + shape.durationMs + 2000);
  return account.figures(shape.durationMs, shape.framesPerSecond);
}

test('on a good network every frame is shown and nothing freezes', () => {
  for (const shape of [camera, screen]) {
    const figures = run(shape, 0, [5, 6]);
    assert.equal(figures.lossPercent, 0);
    assert.equal(figures.sentFramesPerSecond, shape.framesPerSecond);
    assert.equal(figures.shownFramesPerSecond, shape.framesPerSecond);
    assert.equal(figures.freezes, 0);
    assert.ok(figures.delayMs >= 10 && figures.delayMs <= 12, `${figures.delayMs}`);
    assert.ok(figures.jitterMs < 1);
    assert.ok(figures.megabitsPerSecond > 3.5 && figures.megabitsPerSecond < 8, `${figures.megabitsPerSecond}`);
    assert.equal(figures.seconds.length, 5);
    assert.ok(figures.seconds.every(({ frames }) => Math.abs(frames - shape.framesPerSecond) <= 2));
  }
});

test('loss costs frames and freezes the picture until the next key frame', () => {
  const figures = run(camera, 0.05, [5, 6]);
  // The responder's link loses both ways: 1 - 0.95 ².
  assert.ok(figures.lossPercent > 8 && figures.lossPercent < 12, `${figures.lossPercent}`);
  assert.ok(
    (figures.lossTherePercent ?? 0) > 3.5 && (figures.lossTherePercent ?? 0) < 6.5,
    `${figures.lossTherePercent}`,
  );
  assert.ok(figures.shownFramesPerSecond < 20, `${figures.shownFramesPerSecond}`);
  assert.ok(figures.freezes > 0 && figures.longestFreezeMs > 183);
});

test('uneven delay is jitter, and no loss', () => {
  const figures = run(camera, 0, [5, 45]);
  assert.equal(figures.lossPercent, 0);
  assert.ok(figures.jitterMs > 5, `${figures.jitterMs}`);
  assert.equal(figures.shownFramesPerSecond, 30);
});

test('the responder answers only who knows the token and hears it, with no more than came, up to a bound', () => {
  let nowMs = 0;
  const responder = new QualityResponder({ clock: { nowMs: () => nowMs, unixMs: () => 0 }, random: systemRandom }, KEY);
  const from = new Endpoint('\x0a\0\0\x01', 1);
  const stranger = encodeQuality(qualityKey('guess'), hello);
  assert.equal(responder.receive(stranger, from), undefined);
  assert.equal(responder.receive(Buffer.alloc(1200), from), undefined);
  const data = (cookie: Buffer, bytes = 1200): Buffer => encodeQuality(KEY, { ...hello, kind: 'data', cookie }, bytes);
  assert.equal(responder.receive(data(Buffer.alloc(COOKIE_BYTES)), from), undefined, 'no cookie');
  const cookieOf = (of: Endpoint): Buffer => {
    const answer = responder.receive(encodeQuality(KEY, hello, 1200), of);
    assert.equal(answer?.length, HEADER_BYTES);
    const packet = decodeQuality(KEY, answer ?? Buffer.alloc(0));
    return typeof packet === 'string' ? assert.fail(packet) : packet.cookie;
  };
  const cookie = cookieOf(from);
  assert.equal(
    responder.receive(data(cookie), new Endpoint('\x0a\0\0\x02', 1)),
    undefined,
    'the cookie of another address',
  );
  assert.equal(responder.receive(data(cookie), from)?.length, 1200);
  assert.equal(responder.receive(data(cookie, HEADER_BYTES), from)?.length, HEADER_BYTES);
  let answered = 0;
  for (let i = 0; i < 5000; i++) if (responder.receive(data(cookie), from) !== undefined) answered++;
  assert.ok(answered < 4000, 'a burst has an end');
  nowMs = 130_000;
  assert.equal(responder.receive(data(cookie), from), undefined, 'a cookie has an end');
  let sessions = 0;
  for (let i = 0; i < 20; i++) {
    const other = new Endpoint('\x0a\0\0\x03', i + 1);
    if (responder.receive(data(cookieOf(other)), other) !== undefined) sessions++;
  }
  assert.equal(sessions, 8, 'so many tests at once');
});
