import type { QualityMessages, QualitySeat } from '@atoll/hub';
import { request } from '../../api/request.js';

const ASK_EVERY_MS = 500;

export const WAYS = ['direct', 'relay'] as const;
export type WayName = (typeof WAYS)[number];

/** What two browsers tell each other through the hub. */
export type RoomMessage =
  | { readonly kind: 'here' | 'end' }
  | { readonly kind: 'offer'; readonly way: WayName; readonly sdp: string; readonly durationMs: number }
  | { readonly kind: 'answer'; readonly way: WayName; readonly sdp: string };

/** A room of the hub where this browser and another one find each other. */
export class Room {
  readonly code: string;
  readonly isFirst: boolean;
  readonly #seat: string;
  readonly #signal: AbortSignal;
  readonly #unread: RoomMessage[] = [];
  #heard = 0;

  private constructor({ code, seat }: QualitySeat, isFirst: boolean, signal: AbortSignal) {
    [this.code, this.#seat, this.isFirst, this.#signal] = [code, seat, isFirst, signal];
  }

  static async open(signal: AbortSignal): Promise<Room> {
    return new Room(await request<QualitySeat>('quality', { method: 'POST', signal }), true, signal);
  }

  /** Comes to the one who has made the room. */
  static async enter(code: string, signal: AbortSignal): Promise<Room> {
    const path = `quality/${encodeURIComponent(code)}`;
    const room = new Room(await request<QualitySeat>(path, { method: 'POST', signal }), false, signal);
    await room.say({ kind: 'here' });
    return room;
  }

  async say(message: RoomMessage): Promise<void> {
    const body = { seat: this.#seat, message: JSON.stringify(message) };
    await request<void>(`quality/${this.code}/messages`, { method: 'POST', body, signal: this.#signal });
  }

  /** The next message that fits; others are passed over. Undefined when none came in time. */
  async hear<M extends RoomMessage>(
    fits: (message: RoomMessage) => message is M,
    limitMs: number,
  ): Promise<M | undefined> {
    const endMs = performance.now() + limitMs;
    for (;;) {
      for (let next = this.#unread.shift(); next !== undefined; next = this.#unread.shift())
        if (fits(next)) return next;
      if (performance.now() > endMs) return undefined;
      const question = new URLSearchParams({ seat: this.#seat, after: String(this.#heard) });
      const path = `quality/${this.code}/messages?${question}`;
      const { messages } = await request<QualityMessages>(path, { signal: this.#signal });
      this.#heard += messages.length;
      this.#unread.push(...messages.flatMap((text) => readMessage(text) ?? []));
      if (messages.length === 0) await new Promise((resolve) => setTimeout(resolve, ASK_EVERY_MS));
    }
  }
}

/** A message of the other browser, which may be anybody's. */
function readMessage(text: string): RoomMessage | undefined {
  let given: { readonly [key: string]: unknown };
  try {
    given = JSON.parse(text) as typeof given;
  } catch {
    return undefined;
  }
  const { kind, sdp, durationMs } = given;
  const way = WAYS.find((name) => name === given.way);
  if (kind === 'here' || kind === 'end') return { kind };
  if (way === undefined || typeof sdp !== 'string') return undefined;
  if (kind === 'answer') return { kind, way, sdp };
  return kind === 'offer' && typeof durationMs === 'number' ? { kind, way, sdp, durationMs } : undefined;
}
