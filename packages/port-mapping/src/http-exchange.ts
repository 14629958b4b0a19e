import { request } from 'node:http';

/** Longest head and body of a router's answer, and how long all of it may take. */
const MAX_HEAD_BYTES = 8 * 1024;
const MAX_BODY_BYTES = 64 * 1024;
const MAX_MS = 5000;

/** One request to a router; it is led nowhere else, whatever it answers. Rejects when the answer is too long or late. */
export function exchange(
  url: URL,
  { method, headers = {}, body }: { method: 'GET' | 'POST'; headers?: Record<string, string>; body?: string },
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const signal = AbortSignal.timeout(MAX_MS);
    const length = body === undefined ? {} : { 'Content-Length': String(Buffer.byteLength(body)) };
    const sent = request(
      url,
      {
        method,
        headers: { ...headers, ...length, Connection: 'close' },
        signal,
        agent: false,
        maxHeaderSize: MAX_HEAD_BYTES,
      },
      (response) => {
        const chunks: Buffer[] = [];
        let size = 0;
        response.on('data', (chunk: Buffer) => {
          size += chunk.length;
          if (size > MAX_BODY_BYTES) response.destroy(new Error('its answer is too long'));
          else chunks.push(chunk);
        });
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text: Buffer.concat(chunks).toString() }));
      },
    );
    sent.on('error', reject);
    sent.end(body);
  });
}
