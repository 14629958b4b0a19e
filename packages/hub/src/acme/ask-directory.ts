import { request } from 'node:https';
import { rootCertificates } from 'node:tls';

/** Longest answer that is read, bytes: a chain of certificates has a few thousand. */
const MAX_ANSWER_BYTES = 256 * 1024;
/** For name, connection, request and answer together, ms. */
const ANSWER_LIMIT_MS = 30_000;

export interface DirectoryRequest {
  readonly method?: 'GET' | 'HEAD' | 'POST';
  /** A signed body, in JSON. */
  readonly body?: string;
}

export interface DirectoryAnswer {
  readonly status: number;
  /** By names in lower case. */
  readonly headers: Readonly<Record<string, string | string[] | undefined>>;
  readonly body: string;
}

/** Asks an ACME directory. Rejects with what the network says. */
export type AskDirectory = (url: string, request: DirectoryRequest, signal: AbortSignal) => Promise<DirectoryAnswer>;

/** Asks over HTTPS and nothing else, follows no redirect. `authorities`: further ones (PEM) that vouch for directories. */
export function askOverHttps(authorities: string | undefined): AskDirectory {
  const trust = authorities === undefined ? {} : { ca: [...rootCertificates, authorities] };
  return (url, { method = 'GET', body }, signal) =>
    new Promise((resolve, reject) => {
      const headers = {
        // RFC 8555 section 6.1 wants a name.
        'User-Agent': 'atoll',
        ...(body === undefined
          ? {}
          : { 'Content-Type': 'application/jose+json', 'Content-Length': String(Buffer.byteLength(body)) }),
      };
      const limit = AbortSignal.any([signal, AbortSignal.timeout(ANSWER_LIMIT_MS)]);
      const asked = request(url, { ...trust, method, headers, agent: false, signal: limit }, (answer) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        answer.on('data', (chunk: Buffer) => {
          bytes += chunk.length;
          if (bytes > MAX_ANSWER_BYTES) answer.destroy(new Error(`it answers more than ${MAX_ANSWER_BYTES} bytes`));
          else chunks.push(chunk);
        });
        answer.on('error', reject);
        answer.on('end', () =>
          resolve({
            status: answer.statusCode ?? 0,
            headers: answer.headers,
            body: Buffer.concat(chunks).toString('utf8'),
          }),
        );
      });
      asked.on('error', (error) =>
        reject(limit.aborted && !signal.aborted ? new Error(`no answer within ${ANSWER_LIMIT_MS / 1000} s`) : error),
      );
      asked.end(body);
    });
}
