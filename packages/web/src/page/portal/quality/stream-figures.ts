/** What the statistics of a connection say at one moment: counters since its beginning, and values of now. */
export interface Snapshot {
  readonly atMs: number;
  /** Frames that the picture's source made here, and that were sent. */
  readonly made: number;
  readonly sent: number;
  /** Frames of the other side that were decoded, to be shown. */
  readonly shown: number;
  readonly freezes: number;
  readonly freezeMs: number;
  readonly packets: number;
  readonly lost: number;
  readonly bytes: number;
  readonly jitterMs: number;
  readonly roundTripMs: number;
  readonly availableBitsPerSecond: number;
  readonly width: number;
  readonly height: number;
  readonly codec: string;
}

/** One second of a stream, as it arrived. */
export interface SecondFigures {
  readonly frames: number;
  readonly lossPercent: number;
  readonly delayMs: number;
}

/** What became of one stream; rates are per second. */
export interface StreamFigures {
  /** Frames that the sender's browser made of the picture, and that it sent. */
  readonly madeFramesPerSecond: number;
  readonly sentFramesPerSecond: number;
  readonly shownFramesPerSecond: number;
  readonly freezes: number;
  readonly freezeMs: number;
  readonly lossPercent: number;
  readonly jitterMs: number;
  /** There and back. */
  readonly delayMs: number;
  readonly megabitsPerSecond: number;
  /** What the sender's browser believes it could send. */
  readonly availableMegabitsPerSecond: number;
  readonly width: number;
  readonly height: number;
  /** `VP8`, `H264`; empty when the browser does not say. */
  readonly codec: string;
  readonly seconds: readonly SecondFigures[];
}

/** Seconds of one stream that are taken from another browser, at most. */
const MAX_SECONDS = 60;

type Entry = { readonly [key: string]: unknown };

/** Reads the statistics (W3C webrtc-stats) of a connection with one video in each direction. */
export function snapshotOf(entries: Iterable<Entry>, atMs: number): Snapshot {
  const all = [...entries];
  const video = (type: string): Entry => all.find((entry) => entry.type === type && entry.kind === 'video') ?? {};
  const [inbound, outbound, source] = [video('inbound-rtp'), video('outbound-rtp'), video('media-source')];
  const pair = selectedPair(all) ?? {};
  const codec = all.find(({ id }) => id !== undefined && id === inbound.codecId)?.mimeType;
  return {
    atMs,
    made: number(source.frames ?? outbound.framesEncoded),
    sent: number(outbound.framesSent ?? outbound.framesEncoded),
    shown: number(inbound.framesDecoded),
    freezes: number(inbound.freezeCount),
    freezeMs: 1000 * number(inbound.totalFreezesDuration),
    packets: number(inbound.packetsReceived),
    lost: number(inbound.packetsLost),
    bytes: number(inbound.bytesReceived) + number(inbound.headerBytesReceived),
    jitterMs: 1000 * number(inbound.jitter),
    roundTripMs: 1000 * number(pair.currentRoundTripTime),
    availableBitsPerSecond: number(pair.availableOutgoingBitrate),
    width: number(inbound.frameWidth),
    height: number(inbound.frameHeight),
    codec: typeof codec === 'string' ? codec.replace(/^video\//, '') : '',
  };
}

/** The pair of candidates that packets take. */
export function selectedPair(entries: readonly Entry[]): Entry | undefined {
  const transport = entries.find((entry) => entry.type === 'transport');
  return entries.find(
    (entry) =>
      entry.type === 'candidate-pair' &&
      // Firefox names no pair in its transport, but marks the pair.
      (entry.id === transport?.selectedCandidatePairId || entry.selected === true),
  );
}

/** What this side knows after a stream in each direction: of what came its reception, of what went its sending. */
export function figuresOf(snapshots: readonly Snapshot[]): StreamFigures {
  const [first, last] = [snapshots[0], snapshots.at(-1)];
  if (first === undefined || last === undefined) throw new TypeError('Figures need two snapshots.');
  const perSecond = (name: 'made' | 'sent' | 'shown' | 'bytes'): number =>
    ((last[name] - first[name]) * 1000) / Math.max(1, last.atMs - first.atMs);
  const later = snapshots.slice(1);
  return {
    madeFramesPerSecond: round(perSecond('made')),
    sentFramesPerSecond: round(perSecond('sent')),
    shownFramesPerSecond: round(perSecond('shown')),
    freezes: last.freezes - first.freezes,
    freezeMs: Math.round(last.freezeMs - first.freezeMs),
    lossPercent: lossBetween(first, last),
    jitterMs: round(mean(later.map(({ jitterMs }) => jitterMs))),
    delayMs: round(mean(later.map(({ roundTripMs }) => roundTripMs))),
    megabitsPerSecond: round((8 * perSecond('bytes')) / 1e6),
    availableMegabitsPerSecond: round(last.availableBitsPerSecond / 1e6),
    width: last.width,
    height: last.height,
    codec: last.codec,
    seconds: later.map((now, at) => {
      const before = snapshots[at] ?? now;
      return {
        frames: round(((now.shown - before.shown) * 1000) / Math.max(1, now.atMs - before.atMs)),
        lossPercent: lossBetween(before, now),
        delayMs: round(now.roundTripMs),
      };
    }),
  };
}

/** One direction: what its sender knows of the sending, and its receiver of everything else. */
export function directionOf(sender: StreamFigures, receiver: StreamFigures): StreamFigures {
  const { madeFramesPerSecond, sentFramesPerSecond, availableMegabitsPerSecond } = sender;
  return { ...receiver, madeFramesPerSecond, sentFramesPerSecond, availableMegabitsPerSecond };
}

/** Figures that another browser has sent; what is not a number counts as 0. */
export function readFigures(given: unknown): StreamFigures {
  const entry = (typeof given === 'object' && given !== null ? given : {}) as Entry;
  const seconds = Array.isArray(entry.seconds) ? (entry.seconds as unknown[]).slice(0, MAX_SECONDS) : [];
  return {
    madeFramesPerSecond: number(entry.madeFramesPerSecond),
    sentFramesPerSecond: number(entry.sentFramesPerSecond),
    shownFramesPerSecond: number(entry.shownFramesPerSecond),
    freezes: number(entry.freezes),
    freezeMs: number(entry.freezeMs),
    lossPercent: number(entry.lossPercent),
    jitterMs: number(entry.jitterMs),
    delayMs: number(entry.delayMs),
    megabitsPerSecond: number(entry.megabitsPerSecond),
    availableMegabitsPerSecond: number(entry.availableMegabitsPerSecond),
    width: number(entry.width),
    height: number(entry.height),
    codec: typeof entry.codec === 'string' ? entry.codec.slice(0, 20) : '',
    seconds: seconds.map((second) => {
      const { frames, lossPercent, delayMs } = (second ?? {}) as Entry;
      return { frames: number(frames), lossPercent: number(lossPercent), delayMs: number(delayMs) };
    }),
  };
}

function lossBetween(before: Snapshot, now: Snapshot): number {
  // Packets that came late are taken off the count of the lost ones.
  const lost = Math.max(0, now.lost - before.lost);
  const all = lost + now.packets - before.packets;
  return all <= 0 ? 0 : round((100 * lost) / all);
}

function number(value: unknown): number {
  return typeof value === 'number' && Number.isFinite(value) ? value : 0;
}

function mean(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0) / Math.max(1, values.length);
}

function round(value: number): number {
  return Math.round(10 * value) / 10;
}
