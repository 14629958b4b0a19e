import type { Exchange } from '@atoll/http';
import type { DhtProxy } from './dht-proxy.js';

/** One request, as handlers get it. */
export interface RequestContext {
  readonly proxy: DhtProxy;
  readonly exchange: Exchange;
  /** What limits are counted by. */
  readonly address: string;
}
