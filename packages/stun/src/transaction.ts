import type { StunMessage } from './message.js';

/** First wait for an answer over datagrams, ms (RFC 8489 section 6.2.1: RTO). */
export const INITIAL_RTO_MS = 500;
/** How often a request is sent (Rc), and how many RTOs the last one waits (Rm). */
const MAX_SENDS = 7;
const LAST_WAIT_RTOS = 16;
/** How long a request over a stream may go without an answer, ms (section 6.2.2: Ti). */
export const STREAM_TIMEOUT_MS = 39_500;

/**
 * The retransmissions of one request, sans-I/O: the owner asks {@link dueMs} when to look again and calls
 * {@link tick}. Over datagrams the request leaves at 0, 500, 1500, 3500, 7500, 15500 and 31500 ms and fails at 39500.
 */
export class Transaction {
  readonly transactionId: Buffer;
  /** When something is to be done. */
  dueMs: number;
  private readonly bytes: Buffer;
  private readonly send: (bytes: Buffer) => void;
  private readonly rtoMs: number;
  private waitMs: number;
  private sends = 1;
  private readonly isReliable: boolean;

  /** Sends the request at once. */
  constructor(
    { send }: { readonly send: (bytes: Buffer) => void },
    options: {
      readonly bytes: Buffer;
      readonly nowMs: number;
      readonly isReliable: boolean;
      readonly rtoMs?: number;
    },
  ) {
    this.bytes = options.bytes;
    this.transactionId = Buffer.from(options.bytes.subarray(8, 20));
    this.send = send;
    this.isReliable = options.isReliable;
    this.rtoMs = options.rtoMs ?? INITIAL_RTO_MS;
    this.waitMs = this.rtoMs;
    this.dueMs = options.nowMs + (this.isReliable ? STREAM_TIMEOUT_MS : this.rtoMs);
    send(this.bytes);
  }

  /** Whether a message is the answer to this request. */
  isAnswer(message: StunMessage): boolean {
    return (
      (message.class === 'success' || message.class === 'error') && message.transactionId.equals(this.transactionId)
    );
  }

  /** Sends again what is due; false when the request has failed. */
  tick(nowMs: number): boolean {
    if (nowMs < this.dueMs) return true;
    if (this.isReliable || this.sends >= MAX_SENDS) return false;
    this.sends++;
    this.waitMs *= 2;
    this.dueMs += this.sends === MAX_SENDS ? LAST_WAIT_RTOS * this.rtoMs : this.waitMs;
    this.send(this.bytes);
    return true;
  }
}
