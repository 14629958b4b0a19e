import { fileURLToPath } from 'node:url';
import type { DirectPushOverrides, PushOptions } from '@atoll/dht-proxy';
import type { Host, ManagedProcess } from '@atoll/testkit';

const MAIN = fileURLToPath(new URL('push-proxy-main.js', import.meta.url));

export interface PushProxySettings {
  /** State, kept over restarts. */
  readonly folder: string;
  readonly options: PushOptions;
  readonly overrides: Pick<DirectPushOverrides, 'fcmUrl' | 'apnsUrl' | 'apnsAuthorities'>;
  /** The push layer believes that it is so much later. */
  readonly clockAheadMs: number;
}

/** A DHT node with proxy and push layer in a process of its own on a host. */
export class PushProxy {
  readonly process: ManagedProcess;
  /** Tokens it knew at its start. */
  readonly tokensAtStart: number;
  readonly vapidPublicKey: string;

  private constructor(process: ManagedProcess, tokensAtStart: number, vapidPublicKey: string) {
    this.process = process;
    this.tokensAtStart = tokensAtStart;
    this.vapidPublicKey = vapidPublicKey;
  }

  static async start(host: Host, settings: PushProxySettings): Promise<PushProxy> {
    const process = host.spawn(globalThis.process.execPath, [MAIN, JSON.stringify(settings)]);
    const [, tokens, key = ''] = await process.waitForOutput(/^ready (\d+) (\S+)$/m, 60_000);
    return new PushProxy(process, Number(tokens), key);
  }

  /** Distinct push tokens right now, and what became of pushes, by word. */
  async counts(): Promise<{ readonly tokens: number; readonly words: ReadonlyMap<string, number> }> {
    const from = this.process.output.length;
    globalThis.process.kill(this.process.pid, 'SIGUSR2');
    const [, json = '[]'] = await this.process.waitForOutput(/^counts (.*)$/m, 30_000, from);
    const [tokens = 0, ...words] = JSON.parse(json) as [number, ...[string, number][]];
    return { tokens, words: new Map(words) };
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process.stop();
  }
}
