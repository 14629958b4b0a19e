import type { IncomingMessage, ServerResponse } from 'node:http';
import type { DhtProxy } from './dht-proxy.js';

/** One request, as handlers get it. */
export interface RequestContext {
  readonly proxy: DhtProxy;
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  /** What limits are counted by. */
  readonly address: string;
}
