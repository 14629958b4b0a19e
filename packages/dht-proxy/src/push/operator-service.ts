import { Agent } from 'node:http';
import { Agent as TlsAgent } from 'node:https';
import { errorCode } from '@atoll/base';
import { exchange, type HttpAnswer } from './http-post.js';

/** For one request, ms. */
const TOTAL_MS = 15_000;
/** Body bytes read of an answer. */
const MOST_BODY_BYTES = 64 * 1024;
/** Idle connections are closed after, ms. */
const IDLE_MS = 60_000;

/**
 * A service that the operator named (gateway, FCM): requests go there without a guard, over connections that are kept.
 */
export class OperatorService {
  private readonly agent: Agent;
  private readonly tlsAgent: TlsAgent;

  /** `authorities`: PEM certificates to verify with in place of the well-known ones. */
  constructor(mostConnections: number, authorities?: readonly string[]) {
    const options = { keepAlive: true, maxSockets: mostConnections, timeout: IDLE_MS };
    this.agent = new Agent(options);
    this.tlsAgent = new TlsAgent(authorities === undefined ? options : { ...options, ca: [...authorities] });
  }

  /** The answer, or the reason why there was none. */
  async post(url: URL, headers: Readonly<Record<string, string>>, body: string): Promise<HttpAnswer | string> {
    const bytes = Buffer.from(body);
    try {
      return await exchange(
        {
          protocol: url.protocol,
          host: url.hostname.replace(/^\[(.*)\]$/, '$1'),
          port: url.port,
          path: `${url.pathname}${url.search}`,
          agent: url.protocol === 'https:' ? this.tlsAgent : this.agent,
          headers: { Accept: '*/*', 'User-Agent': 'Atoll', ...headers, Host: url.host, 'Content-Length': bytes.length },
        },
        bytes,
        { totalMs: TOTAL_MS, bodyBytes: MOST_BODY_BYTES },
      );
    } catch (error) {
      return `exchange: ${errorCode(error)}`;
    }
  }

  close(): void {
    this.agent.destroy();
    this.tlsAgent.destroy();
  }
}
