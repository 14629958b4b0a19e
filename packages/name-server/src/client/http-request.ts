import { type IncomingMessage, request as plainRequest } from 'node:http';
import { request as secureRequest } from 'node:https';
import { AtollError } from '@atoll/base';

/** Most bytes of an answer that are read; signed ones have about 1900. */
const MAX_ANSWER_BYTES = 65_536;
/** As the Jami daemon follows them (protocol/name-server.md 1). */
const MAX_REDIRECTS = 5;

export interface AskOptions {
  readonly method?: 'GET' | 'POST';
  readonly body?: string;
  readonly headers?: Readonly<Record<string, string>>;
  /** The whole exchange has so long, redirects included, ms. */
  readonly limitMs: number;
  /** PEM of authorities to trust beside none of the system's. */
  readonly authority?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface HttpAnswer {
  readonly status: number;
  readonly body: string;
}

/** One request of a name server's client. Fails with `NAMES_UNREACHABLE` when there is no whole answer in time. */
export async function askHttp(url: URL, options: AskOptions): Promise<HttpAnswer> {
  const deadline = AbortSignal.timeout(options.limitMs);
  const signal = options.signal === undefined ? deadline : AbortSignal.any([deadline, options.signal]);
  let target = url;
  try {
    for (let redirects = 0; ; redirects++) {
      const answer = await send(target, options, signal);
      const { statusCode: status = 0, headers } = answer;
      if ((status === 301 || status === 302) && headers.location !== undefined && redirects < MAX_REDIRECTS) {
        answer.destroy();
        target = new URL(headers.location, target);
        if (!/^https?:$/.test(target.protocol)) throw new Error(`it leads to ${target.protocol}`);
        continue;
      }
      return { status, body: await read(answer) };
    }
  } catch (cause) {
    const why = deadline.aborted
      ? `no answer within ${options.limitMs / 1000} s`
      : cause instanceof Error
        ? cause.message || cause.name
        : String(cause);
    throw new AtollError('NAMES_UNREACHABLE', `The name server ${url.origin} does not answer: ${why}.`, { cause });
  }
}

function send(url: URL, options: AskOptions, signal: AbortSignal): Promise<IncomingMessage> {
  const { method = 'GET', body, headers, authority } = options;
  return new Promise((resolve, reject) => {
    const isSecure = url.protocol === 'https:';
    const asked = (isSecure ? secureRequest : plainRequest)(url, {
      method,
      signal,
      headers: {
        Accept: '*/*',
        'Content-Type': 'application/json',
        ...headers,
        ...(body === undefined ? {} : { 'Content-Length': Buffer.byteLength(body) }),
      },
      ...(authority === undefined ? {} : { ca: authority }),
    });
    asked.on('response', resolve).on('error', reject);
    asked.end(body);
  });
}

async function read(answer: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  for await (const chunk of answer as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_ANSWER_BYTES) throw new Error(`its answer is larger than ${MAX_ANSWER_BYTES} bytes`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
