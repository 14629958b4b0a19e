import type { JoinFacts } from '@atoll/hub';
import type { Room, RoomMessage, WayName } from './room.js';
import { type Snapshot, selectedPair, snapshotOf } from './stream-figures.js';

/** Candidates that take longer to gather come too late. */
const GATHER_MS = 5000;
const CONNECT_MS = 30_000;
/** What is said last comes in that time, or the other one is gone. */
const BYE_MS = 10_000;
/** The other browser may still be busy with a way that does not work. */
const OTHER_MS = 40_000;

type Said = { readonly [key: string]: unknown };

/** A connection to the other browser on one way: a video in each direction, and two channels for data. */
export class WayConnection {
  readonly peer: RTCPeerConnection;
  /** In this channel both say what they do; nothing gets lost. */
  readonly #control: RTCDataChannel;
  /** In this one as much as fits is sent, and nothing is sent again. */
  readonly load: RTCDataChannel;
  readonly #unread: Said[] = [];
  #wake = (): void => {};

  private constructor(configuration: RTCConfiguration) {
    this.peer = new RTCPeerConnection(configuration);
    this.#control = this.peer.createDataChannel('control', { negotiated: true, id: 0 });
    this.load = this.peer.createDataChannel('load', { negotiated: true, id: 1, ordered: false, maxRetransmits: 0 });
    this.load.binaryType = 'arraybuffer';
    this.#control.addEventListener('close', () => this.#wake());
    this.#control.addEventListener('message', ({ data }) => {
      this.#unread.push(readSaid(data));
      this.#wake();
    });
  }

  /** Connects; undefined when there is no such way. `show` gets the other one's picture. */
  static async open(
    way: WayName,
    offer: (RoomMessage & { kind: 'offer' }) | { readonly durationMs: number },
    room: Room,
    facts: JoinFacts,
    show: (stream: MediaStream) => void,
    signal: AbortSignal,
  ): Promise<WayConnection | undefined> {
    const connection = new WayConnection(configurationOf(way, facts));
    const { peer } = connection;
    signal.addEventListener('abort', () => connection.close(), { once: true });
    peer.addEventListener('track', ({ track }) => show(new MediaStream([track])));
    const isConnected = await ('sdp' in offer
      ? connection.#answer(offer, room)
      : connection.#offer(way, offer.durationMs, room));
    if (isConnected) return connection;
    connection.close();
    return undefined;
  }

  get sender(): RTCRtpSender {
    const [transceiver] = this.peer.getTransceivers();
    if (transceiver === undefined) throw new TypeError('A connection of this page has a video.');
    return transceiver.sender;
  }

  say(said: Said): void {
    if (this.#control.readyState === 'open') this.#control.send(JSON.stringify(said));
  }

  /** The next thing the other one says in which `key` is `value`; undefined when it does not in time, or has left. */
  async hear(key: string, value: string, limitMs: number): Promise<Said | undefined> {
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      this.#wake();
    }, limitMs);
    try {
      for (;;) {
        for (let next = this.#unread.shift(); next !== undefined; next = this.#unread.shift()) {
          if (next[key] === value) return next;
        }
        const hasEnded = this.peer.connectionState === 'closed' || this.#control.readyState === 'closed';
        if (isLate || hasEnded) return undefined;
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async snapshot(): Promise<Snapshot> {
    return snapshotOf(await this.#entries(), performance.now());
  }

  /** Kinds of the two ends of the way: `host`, `srflx`, `prflx`, `relay`; and the protocol to the relay, if any. */
  async path(): Promise<string> {
    const entries = await this.#entries();
    const pair = selectedPair(entries);
    const end = (id: unknown): Said => entries.find((entry) => entry.id === id) ?? {};
    const [here, there] = [end(pair?.localCandidateId), end(pair?.remoteCandidateId)];
    const protocol = here.relayProtocol ?? here.protocol;
    return [`${String(here.candidateType)} – ${String(there.candidateType)}`, protocol]
      .flatMap((part) => part ?? [])
      .join(', ');
  }

  /** Goes when the other one has heard the last thing that was said: what is under way is lost with the connection. */
  async leave(): Promise<void> {
    this.say({ bye: 'bye' });
    await this.hear('bye', 'bye', BYE_MS);
    this.close();
  }

  close(): void {
    this.peer.close();
    this.#wake();
  }

  async #offer(way: WayName, durationMs: number, room: Room): Promise<boolean> {
    const { peer } = this;
    peer.addTransceiver('video', { direction: 'sendrecv' });
    await peer.setLocalDescription();
    await room.say({ kind: 'offer', way, durationMs, sdp: await this.#description() });
    const isAnswer = (message: RoomMessage): message is RoomMessage & { kind: 'answer' } =>
      message.kind === 'answer' && message.way === way;
    const answer = await room.hear(isAnswer, OTHER_MS);
    if (answer === undefined) return false;
    await peer.setRemoteDescription({ type: 'answer', sdp: answer.sdp });
    return this.#connected();
  }

  async #answer({ way, sdp }: RoomMessage & { kind: 'offer' }, room: Room): Promise<boolean> {
    const { peer } = this;
    await peer.setRemoteDescription({ type: 'offer', sdp });
    const [transceiver] = peer.getTransceivers();
    if (transceiver === undefined) return false;
    transceiver.direction = 'sendrecv';
    await peer.setLocalDescription();
    await room.say({ kind: 'answer', way, sdp: await this.#description() });
    return this.#connected();
  }

  /** The own description, with all candidates. */
  async #description(): Promise<string> {
    const { peer } = this;
    await eventOf(peer, 'icegatheringstatechange', () => peer.iceGatheringState === 'complete', GATHER_MS);
    return peer.localDescription?.sdp ?? '';
  }

  async #connected(): Promise<boolean> {
    const control = this.#control;
    return eventOf(control, 'open', () => control.readyState === 'open', CONNECT_MS);
  }

  async #entries(): Promise<Said[]> {
    const entries: Said[] = [];
    (await this.peer.getStats()).forEach((entry: Said) => {
      entries.push(entry);
    });
    return entries;
  }
}

/**
 * Directly, the relay is asked for nothing but which address it sees: browsers keep their own to themselves where no
 * camera was allowed.
 */
function configurationOf(way: WayName, { turn }: JoinFacts): RTCConfiguration {
  if (turn === undefined) return {};
  if (way === 'direct') return { iceServers: [{ urls: `stun:${turn.server}` }] };
  const urls = ['udp', 'tcp'].map((transport) => `turn:${turn.server}?transport=${transport}`);
  return { iceTransportPolicy: 'relay', iceServers: [{ urls, username: turn.user, credential: turn.password }] };
}

/** Waits until something holds; whether it did in time. */
function eventOf(target: EventTarget, name: string, holds: () => boolean, limitMs: number): Promise<boolean> {
  if (holds()) return Promise.resolve(true);
  return new Promise((resolve) => {
    const end = (): void => {
      if (!holds() && !isLate) return;
      clearTimeout(timer);
      target.removeEventListener(name, end);
      resolve(holds());
    };
    let isLate = false;
    const timer = setTimeout(() => {
      isLate = true;
      end();
    }, limitMs);
    target.addEventListener(name, end);
  });
}

function readSaid(data: unknown): Said {
  try {
    const said: unknown = JSON.parse(String(data));
    return typeof said === 'object' && said !== null ? (said as Said) : {};
  } catch {
    return {};
  }
}
