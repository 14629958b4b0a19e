import { AtollError, Endpoint } from '@atoll/base';
import { credentialsOf } from '../probes/turn-client.js';
import type { DoctorTarget } from '../target.js';
import { CAMERA_FRAME_BYTES, SCREEN_FRAME_BYTES } from './core/frame-sizes.js';
import { PacedStream, type StreamShape } from './core/paced-stream.js';
import { decodeQuality, encodeQuality, qualityKey } from './core/quality-packet.js';
import { StreamAccount, type StreamFigures } from './core/stream-account.js';
import { openDirectWay, openTurnWay, type QualityWay } from './quality-way.js';

/** UDP port of the responder when nothing else is said. */
export const QUALITY_PORT = 4223;
/** Rates of the ramp, megabits a second, and how long each one lasts. */
const RAMP = [10, 20, 40, 80, 140];
const RAMP_MS = 600;
const RAMP_FRAMES_PER_SECOND = 100;
/** A rate is carried when no more gets lost, percent, and its packets wait no longer than this, ms. */
const RAMP_LOSS_PERCENT = 2;
const RAMP_WAIT_MS = 60;
/** A sender that needs longer than this share more cannot send so fast itself. */
const RAMP_LATE = 1.3;
/** Packets that are still on their way at the end get so long, ms. */
const LINGER_MS = 400;

/** How video fares on one way. */
export interface WayQuality {
  readonly way: 'direct' | 'turn';
  /** 1920×1080 at 30 frames a second, and a screen at 120. */
  readonly camera: StreamFigures;
  readonly screen: StreamFigures;
  /** What the way carries in each direction at the same time, at least. */
  readonly megabitsPerSecond: number;
  /** Video calls at the same time, by that. */
  readonly calls: number;
}

export interface QualityReport {
  readonly host: string;
  /** Every frame came on one way at least. */
  readonly isWell: boolean;
  readonly ways: readonly WayQuality[];
}

export interface QualityOptions {
  /** The other side, and the port of its responder. */
  readonly host: string;
  readonly port: number;
  /** What both sides know. */
  readonly token: string;
  /** Hub whose TURN server is the other way. */
  readonly target: DoctorTarget | undefined;
  readonly durationMs: number;
  readonly limitMs: number;
}

/**
 * Sends video-like streams to the other side and back, directly and through TURN. Where no responder answers and the
 * other side is the hub itself, its relay sends them back. Fails with `DOCTOR_NO_OTHER_SIDE` when there is no way at all.
 */
export async function measureQuality(options: QualityOptions): Promise<QualityReport> {
  const { host, port, token, target, durationMs, limitMs } = options;
  const key = qualityKey(token);
  const ways: WayQuality[] = [];
  const direct = await openDirectWay(host, port, key, limitMs);
  if (direct !== undefined) ways.push(await measureWay(direct, key, durationMs));
  const turn = target?.turn;
  const [credential] = turn === undefined ? [] : credentialsOf(turn, Date.now());
  const isOwnRelay = direct === undefined && target?.host === host;
  if (target !== undefined && turn !== undefined && credential !== undefined && (direct !== undefined || isOwnRelay)) {
    const responder = direct === undefined ? undefined : Endpoint.from(host, port);
    const relay = { host: target.host, port: turn.port, credential, responder };
    const way = await openTurnWay(relay, key, limitMs);
    if (way !== undefined) ways.push(await measureWay(way, key, durationMs));
  }
  if (ways.length === 0) {
    throw new AtollError(
      'DOCTOR_NO_OTHER_SIDE',
      `Nothing at ${host} answers to the quality test: run atoll doctor --serve there with the same token, and let UDP port ${port} in.`,
    );
  }
  const isWell = ways.some(({ camera }) => camera.freezes === 0 && camera.shownFramesPerSecond > 29);
  return { host, isWell, ways };
}

async function measureWay(way: QualityWay, key: Buffer, durationMs: number): Promise<WayQuality> {
  let stream = 0;
  try {
    const camera = { frameBytes: CAMERA_FRAME_BYTES, framesPerSecond: 30, durationMs };
    const screen = { frameBytes: SCREEN_FRAME_BYTES, framesPerSecond: 120, durationMs };
    const cameraFigures = (await runStream(way, key, stream++, camera)).figures;
    const screenFigures = (await runStream(way, key, stream++, screen)).figures;
    let megabitsPerSecond = cameraFigures.lossPercent > RAMP_LOSS_PERCENT ? 0 : cameraFigures.megabitsPerSecond;
    for (const rate of RAMP) {
      const bytes = Math.round((rate * 1e6) / 8 / RAMP_FRAMES_PER_SECOND);
      const shape = { frameBytes: [bytes], framesPerSecond: RAMP_FRAMES_PER_SECOND, durationMs: RAMP_MS };
      const { figures, tookMs } = await runStream(way, key, stream++, shape);
      const isCarried =
        figures.lossPercent <= RAMP_LOSS_PERCENT &&
        figures.slowDelayMs <= cameraFigures.delayMs + RAMP_WAIT_MS &&
        tookMs <= RAMP_LATE * RAMP_MS;
      if (!isCarried) break;
      megabitsPerSecond = Math.max(megabitsPerSecond, rate);
    }
    const perCall = Math.max(cameraFigures.megabitsPerSecond, 0.1);
    const calls = Math.floor(megabitsPerSecond / perCall);
    return { way: way.name, camera: cameraFigures, screen: screenFigures, megabitsPerSecond, calls };
  } finally {
    await way.close();
  }
}

/** Runs one stream to its end; `tookMs` is how long its sending took. */
function runStream(
  way: QualityWay,
  key: Buffer,
  number: number,
  shape: StreamShape,
): Promise<{ figures: StreamFigures; tookMs: number }> {
  return new Promise((resolve) => {
    const startMs = performance.now();
    const stream = new PacedStream(shape, startMs);
    const account = new StreamAccount(() => stream.requestKeyFrame());
    way.onMessage = (bytes) => {
      const packet = decodeQuality(key, bytes);
      if (typeof packet === 'string' || packet.stream !== number || packet.kind === 'cookie') return;
      account.arrived(packet.sequence, packet.theirCount, performance.now());
    };
    const pump = (): void => {
      const nowMs = performance.now();
      for (const { sequence, frame, isKey, bytes } of stream.take(nowMs)) {
        account.sent({ sequence, frame, isKey, bytes }, nowMs);
        const facts = { stream: number, sequence, theirMs: 0, theirCount: 0, cookie: way.cookie };
        way.send(encodeQuality(key, { kind: 'data', ...facts }, bytes));
      }
      if (Number.isFinite(stream.dueMs)) setTimeout(pump, Math.max(0, stream.dueMs - performance.now()));
      else finish(performance.now() - startMs);
    };
    const finish = (tookMs: number): void => {
      setTimeout(() => {
        way.onMessage = () => {};
        resolve({ figures: account.figures(shape.durationMs, shape.framesPerSecond), tookMs });
      }, LINGER_MS);
    };
    pump();
  });
}
