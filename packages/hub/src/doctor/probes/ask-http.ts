import { request as requestHttp } from 'node:http';
import { request as requestHttps } from 'node:https';

const MAX_BODY_BYTES = 1024 * 1024;

/** An HTTP answer, or why there is none. */
export type HttpOutcome =
  | { readonly status: number; readonly date: string | undefined; readonly body: string }
  | 'refused'
  | 'silent';

/**
 * Asks over HTTP or HTTPS. Certificates are not judged here: what stands behind a bad one is to be examined all the same,
 * and the check of certificates says that it is bad.
 */
export function askHttp(
  url: string,
  { method = 'GET', body, limitMs }: { method?: string; body?: string; limitMs: number },
): Promise<HttpOutcome> {
  return new Promise((resolve) => {
    const options = { method, agent: false, timeout: limitMs, rejectUnauthorized: false };
    const late = setTimeout(() => end('silent'), limitMs);
    const end = (outcome: HttpOutcome): void => {
      clearTimeout(late);
      asked.destroy();
      resolve(outcome);
    };
    const asked = (url.startsWith('https:') ? requestHttps : requestHttp)(url, options, (answer) => {
      const chunks: Buffer[] = [];
      let bytes = 0;
      answer.on('data', (chunk: Buffer) => {
        bytes += chunk.length;
        if (bytes <= MAX_BODY_BYTES) chunks.push(chunk);
      });
      answer.on('error', () => {});
      answer.on('end', () =>
        end({
          status: answer.statusCode ?? 0,
          date: answer.headers.date,
          body: Buffer.concat(chunks).toString('utf8'),
        }),
      );
    });
    asked.on('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
    asked.end(body);
  });
}
