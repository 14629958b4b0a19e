import { type IncomingHttpHeaders, type RequestOptions, request } from 'node:http';
import { request as requestTls } from 'node:https';

/** Bytes of an answer's head, as Node counts them. */
const MOST_HEAD_BYTES = 8 * 1024;

export interface HttpAnswer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  /** The body, as far as it was read. */
  readonly body: Buffer;
}

export interface ExchangeLimits {
  /** For everything, from the request to the end of the answer, ms. */
  readonly totalMs: number;
  /** Body bytes read of an answer. What is beyond is not waited for. */
  readonly bodyBytes: number;
}

/**
 * One POST and its answer; a redirect is an answer like any other and is not followed. Rejects when there was no answer
 * in time, or a broken one.
 */
export function exchange(options: RequestOptions, body: Uint8Array, limits: ExchangeLimits): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const send = options.protocol === 'https:' ? requestTls : request;
    const asked = send({ method: 'POST', maxHeaderSize: MOST_HEAD_BYTES, ...options });
    const timer = setTimeout(() => asked.destroy(new Error('no answer in time')), limits.totalMs);
    const fail = (error: Error): void => {
      clearTimeout(timer);
      reject(error);
    };
    asked.on('error', fail);
    // An answer that switches protocols would hand over a bare socket.
    asked.on('upgrade', (_answer, socket) => {
      socket.destroy();
      fail(new Error('the answer changes the protocol'));
    });
    asked.on('response', (answer) => {
      const chunks: Buffer[] = [];
      let length = 0;
      const finish = (): void => {
        clearTimeout(timer);
        resolve({ status: answer.statusCode ?? 0, headers: answer.headers, body: Buffer.concat(chunks) });
      };
      answer.on('data', (chunk: Buffer) => {
        chunks.push(chunk.subarray(0, limits.bodyBytes - length));
        length += chunk.length;
        if (length < limits.bodyBytes) return;
        finish();
        asked.destroy();
      });
      answer.on('end', finish);
      answer.on('error', fail);
    });
    asked.end(body);
  });
}
