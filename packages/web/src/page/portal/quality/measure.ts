import type { JoinFacts } from '@atoll/hub';
import { loadBothWays } from './load.js';
import { type Room, type RoomMessage, WAYS, type WayName } from './room.js';
import { directionOf, figuresOf, readFigures, type Snapshot, type StreamFigures } from './stream-figures.js';
import { STREAMS, type StreamName, TestPicture } from './test-picture.js';
import { WayConnection } from './way-connection.js';

const MIN_SECONDS = 1;
const MAX_SECONDS = 30;
/** A browser finds out only by and by how much it may send. */
const WARM_UP_MS = 4000;
const LOAD_MS = 3000;
/** What is left of the video has gone by then. */
const SETTLE_MS = 1000;
const EVERY_MS = 1000;
/** The other side may be late by so much. */
const PATIENCE_MS = 40_000;
/** How long somebody may take to open the link on the other device: as long as the room lasts. */
const ARRIVAL_MS = 10 * 60_000;
/** The doctor's bound: with more loss, a way does not carry even the one camera. */
const MAX_LOSS_PERCENT = 2;

export type Phase = 'connect' | StreamName | 'load';

/** Both directions of one stream. */
interface StreamResult {
  readonly fromHere: StreamFigures;
  readonly toHere: StreamFigures;
}

export interface WayResult {
  readonly way: WayName;
  /** What its two ends are; undefined when there is no such way. */
  readonly path?: string;
  readonly streams?: Readonly<Record<StreamName, StreamResult>>;
  /** What the way carries in each direction at the same time, at least. */
  readonly megabitsPerSecond: number;
  /** Video calls at the same time, by that. */
  readonly calls: number;
}

export interface MeasureOptions {
  readonly room: Room;
  readonly facts: JoinFacts;
  /** Of each stream; the first member's counts. */
  readonly durationMs: number;
  readonly onPhase: (way: WayName, phase: Phase) => void;
  /** Gets the other one's picture. */
  readonly show: (stream: MediaStream) => void;
  readonly signal: AbortSignal;
}

/** Measures each way to the other member of the room, once it is there. */
export async function measure(options: MeasureOptions): Promise<WayResult[]> {
  const { room, facts } = options;
  const results: WayResult[] = [];
  if (!room.isFirst) {
    const isNews = (message: RoomMessage): message is RoomMessage & { kind: 'offer' | 'end' } =>
      message.kind === 'offer' || message.kind === 'end';
    for (;;) {
      let news = await room.hear(isNews, ARRIVAL_MS);
      // An offer that another one has followed is given up already.
      for (let later = news; later !== undefined; later = await room.hear(isNews, 0)) news = later;
      if (news?.kind !== 'offer') return results;
      results.push(await measureWay(news.way, news, options));
    }
  }
  const isHere = (message: RoomMessage): message is RoomMessage => message.kind === 'here';
  if ((await room.hear(isHere, ARRIVAL_MS)) === undefined) return results;
  for (const way of WAYS) {
    if (way === 'relay' && facts.turn === undefined) continue;
    results.push(await measureWay(way, options, options));
  }
  await room.say({ kind: 'end' });
  return results;
}

async function measureWay(
  way: WayName,
  offer: (RoomMessage & { kind: 'offer' }) | MeasureOptions,
  { room, facts, onPhase, show, signal }: MeasureOptions,
): Promise<WayResult> {
  const none: WayResult = { way, megabitsPerSecond: 0, calls: 0 };
  const durationMs = Math.min(Math.max(offer.durationMs, MIN_SECONDS * 1000), MAX_SECONDS * 1000);
  onPhase(way, 'connect');
  const connection = await WayConnection.open(way, offer, room, facts, show, signal);
  if (connection === undefined) return none;
  /** Both do the same at the same time, and tell each other what came of it. */
  const together = async <T>(phase: Phase, act: () => Promise<T>): Promise<{ own: T; theirs: unknown } | undefined> => {
    onPhase(way, phase);
    if (room.isFirst) connection.say({ go: phase });
    else if ((await connection.hear('go', phase, PATIENCE_MS)) === undefined) return undefined;
    const own = await act();
    connection.say({ done: phase, result: own });
    const answer = await connection.hear('done', phase, PATIENCE_MS);
    return answer === undefined ? undefined : { own, theirs: answer.result };
  };
  const runStream = async (name: StreamName): Promise<StreamResult | undefined> => {
    const done = await together(name, async () => figuresOf(await watchStream(connection, name, durationMs)));
    if (done === undefined) return undefined;
    const [own, theirs] = [done.own, readFigures(done.theirs)];
    return { fromHere: directionOf(own, theirs), toHere: directionOf(theirs, own) };
  };
  try {
    const camera = await runStream('camera');
    const screen = await runStream('screen');
    const load = await together('load', async () => {
      await pause(SETTLE_MS);
      return loadBothWays(connection, LOAD_MS);
    });
    if (camera === undefined || screen === undefined) return none;
    const path = await connection.path();
    const loads = [load?.own, load?.theirs].map((rate) => (typeof rate === 'number' ? rate : 0));
    const both = [camera.fromHere, camera.toHere];
    const isLossy = both.some(({ lossPercent }) => lossPercent > MAX_LOSS_PERCENT);
    const byCamera = isLossy ? 0 : Math.min(...both.map(({ megabitsPerSecond }) => megabitsPerSecond));
    const megabitsPerSecond = Math.max(byCamera, Math.round(Math.min(...loads) / 1e5) / 10);
    const calls = callsIn(megabitsPerSecond);
    return { way, path, streams: { camera, screen }, megabitsPerSecond, calls };
  } finally {
    await connection.leave();
  }
}

/** Video calls of 1920×1080 that such a rate in each direction carries: each one counts what the camera's stream asks for. */
function callsIn(megabitsPerSecond: number): number {
  return Math.floor((megabitsPerSecond * 1e6) / STREAMS.camera.bitsPerSecond);
}

/** Sends a stream while one comes in, and looks at it each second. */
async function watchStream(connection: WayConnection, name: StreamName, durationMs: number): Promise<Snapshot[]> {
  const { sender } = connection;
  const picture = new TestPicture(name);
  try {
    await sender.replaceTrack(picture.track);
    const parameters = sender.getParameters();
    const { framesPerSecond, bitsPerSecond } = STREAMS[name];
    for (const encoding of parameters.encodings) {
      encoding.maxBitrate = bitsPerSecond;
      encoding.maxFramerate = framesPerSecond;
    }
    await sender.setParameters(parameters);
    await pause(Math.min(WARM_UP_MS, durationMs));
    const snapshots = [await connection.snapshot()];
    const endMs = performance.now() + durationMs;
    for (let leftMs = durationMs; leftMs > 0; leftMs = endMs - performance.now()) {
      await pause(Math.min(EVERY_MS, leftMs));
      snapshots.push(await connection.snapshot());
    }
    return snapshots;
  } finally {
    await sender.replaceTrack(null);
    picture.stop();
  }
}

function pause(ms: number): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, ms));
}
