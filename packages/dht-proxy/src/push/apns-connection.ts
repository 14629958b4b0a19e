import { type ClientHttp2Session, connect, constants, type OutgoingHttpHeaders } from 'node:http2';
import { errorCode } from '@atoll/base';
import type { HttpAnswer } from './http-post.js';

/** For one push, ms. */
const TOTAL_MS = 15_000;
/** A ping goes out so often, ms, and its answer must be there before the next one is due. */
const PING_MS = 60_000;
/** A connection without a push for so long is closed, ms. */
const IDLE_MS = 30 * 60_000;
/** Body bytes read of an answer. */
const MOST_BODY_BYTES = 4096;

/** The connection to Apple's push service: one, kept and pinged, made anew when it is gone or the other side says so. */
export class ApnsConnection {
  private readonly url: string;
  private readonly authorities: readonly string[] | undefined;
  private session: ClientHttp2Session | undefined;

  constructor(url: string, authorities: readonly string[] | undefined) {
    this.url = url;
    this.authorities = authorities;
  }

  /** One POST; the answer, or the reason why there was none. */
  post(headers: OutgoingHttpHeaders, body: string): Promise<HttpAnswer | string> {
    const session = this.open();
    return new Promise((resolve) => {
      const stream = session.request({ ':method': 'POST', 'content-type': 'application/json', ...headers });
      const timer = setTimeout(() => {
        stream.close(constants.NGHTTP2_CANCEL);
        finish('no answer in time');
      }, TOTAL_MS);
      const finish = (result: HttpAnswer | string): void => {
        clearTimeout(timer);
        resolve(result);
      };
      let status = 0;
      let answered: HttpAnswer['headers'] = {};
      const chunks: Buffer[] = [];
      let length = 0;
      stream.on('response', (found) => {
        status = found[':status'] ?? 0;
        answered = found as HttpAnswer['headers'];
      });
      stream.on('data', (chunk: Buffer) => {
        chunks.push(chunk.subarray(0, MOST_BODY_BYTES - length));
        length = Math.min(MOST_BODY_BYTES, length + chunk.length);
      });
      stream.on('end', () => {
        if (status !== 0) finish({ status, headers: answered, body: Buffer.concat(chunks) });
      });
      stream.on('error', (error) => finish(`exchange: ${errorCode(error)}`));
      stream.on('close', () => finish('exchange: closed'));
      stream.end(body);
    });
  }

  close(): void {
    this.session?.destroy();
    this.session = undefined;
  }

  private open(): ClientHttp2Session {
    if (this.session !== undefined && !this.session.closed && !this.session.destroyed) return this.session;
    const session = connect(this.url, this.authorities === undefined ? {} : { ca: [...this.authorities] });
    const leave = (): void => {
      if (this.session === session) this.session = undefined;
    };
    let isAlive = true;
    const pings = setInterval(() => {
      if (!isAlive) {
        session.destroy();
        return;
      }
      isAlive = false;
      if (!session.connecting && !session.destroyed) {
        session.ping((error) => {
          isAlive = error === null;
        });
      }
    }, PING_MS);
    pings.unref();
    session.setTimeout(IDLE_MS, () => session.close());
    session.on('goaway', () => {
      leave();
      session.close();
    });
    // Each stream says by itself that it failed.
    session.on('error', leave);
    session.on('close', () => {
      clearInterval(pings);
      leave();
    });
    this.session = session;
    return session;
  }
}
