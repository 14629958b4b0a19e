import { randomBytes, randomInt } from 'node:crypto';
import { networkOf } from '@atoll/http';

/** Rooms at a time, and of one address; of more, the address's oldest ends. */
const MAX_ROOMS = 32;
const MAX_ROOMS_PER_ADDRESS = 4;
const ROOM_MS = 10 * 60_000;
/** What one member says: messages, and characters of each. A session description has about 5,000. */
export const MAX_MESSAGES_PER_MEMBER = 16;
const MAX_MESSAGE_CHARACTERS = 16_384;
/** Without signs that look alike: people read a code to each other. */
const CODE_SIGNS = 'abcdefghjkmnpqrstuvwxyz23456789';
const CODE_CHARACTERS = 6;
const SEAT_BYTES = 16;

interface Room {
  readonly endsMs: number;
  readonly owner: string;
  /** The first made the room. */
  readonly members: { readonly seat: string; readonly messages: string[] }[];
}

/** Why something was not done. */
export type MeetingRefusal = 'full' | 'unknown' | 'taken' | 'tooMuch';

/** Where two browsers leave each other messages until they are connected. Everything is forgotten after ten minutes. */
export class MeetingPlace {
  private readonly nowMs: () => number;
  /** By code, the oldest first. */
  private readonly rooms = new Map<string, Room>();

  constructor({ nowMs }: { readonly nowMs: () => number }) {
    this.nowMs = nowMs;
  }

  /** Makes a room with one member. */
  open(address: string): { code: string; seat: string } | MeetingRefusal {
    const nowMs = this.nowMs();
    for (const [code, { endsMs }] of this.rooms) if (endsMs <= nowMs) this.rooms.delete(code);
    const owner = networkOf(address);
    const own = [...this.rooms].filter(([, room]) => room.owner === owner);
    const [oldest] = own;
    if (own.length >= MAX_ROOMS_PER_ADDRESS && oldest !== undefined) this.rooms.delete(oldest[0]);
    if (this.rooms.size >= MAX_ROOMS) return 'full';
    let code = makeCode();
    while (this.rooms.has(code)) code = makeCode();
    const room: Room = { endsMs: nowMs + ROOM_MS, owner, members: [] };
    this.rooms.set(code, room);
    return { code, seat: takeSeat(room) };
  }

  /** Takes the second seat. */
  enter(code: string): { seat: string } | MeetingRefusal {
    const room = this.room(code);
    if (room === undefined) return 'unknown';
    return room.members.length > 1 ? 'taken' : { seat: takeSeat(room) };
  }

  /** Leaves a message for the other member, who may come later. */
  say(code: string, seat: string, message: string): MeetingRefusal | undefined {
    const member = this.room(code)?.members.find((each) => each.seat === seat);
    if (member === undefined) return 'unknown';
    if (member.messages.length >= MAX_MESSAGES_PER_MEMBER || message.length > MAX_MESSAGE_CHARACTERS) return 'tooMuch';
    member.messages.push(message);
    return undefined;
  }

  /** What the other member has said, without its first `after` messages. */
  hear(code: string, seat: string, after: number): readonly string[] | MeetingRefusal {
    const members = this.room(code)?.members ?? [];
    if (!members.some((each) => each.seat === seat)) return 'unknown';
    return members.find((each) => each.seat !== seat)?.messages.slice(after) ?? [];
  }

  private room(code: string): Room | undefined {
    const room = this.rooms.get(code);
    if (room !== undefined && room.endsMs > this.nowMs()) return room;
    this.rooms.delete(code);
    return undefined;
  }
}

function makeCode(): string {
  return Array.from({ length: CODE_CHARACTERS }, () => CODE_SIGNS[randomInt(CODE_SIGNS.length)]).join('');
}

function takeSeat(room: Room): string {
  const seat = randomBytes(SEAT_BYTES).toString('base64url');
  room.members.push({ seat, messages: [] });
  return seat;
}
