import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { Host, ManagedProcess } from '@atoll/testkit';

const MAIN = fileURLToPath(new URL('push-services-main.js', import.meta.url));

export interface PushLabSettings {
  readonly address: string;
  /** Where certificates are, and credentials are written to. */
  readonly folder: string;
}

/** What the distributor shall answer at a path from now on. */
export interface ServiceOrder {
  readonly path: string;
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ServiceFacts {
  readonly event: 'ready';
  readonly distributor: string;
  readonly fcm: string;
  readonly gateway: string;
  readonly apns: string;
  readonly apnsKeyId: string;
  readonly apnsTeam: string;
}

export interface PushSeen {
  readonly event: 'push';
  readonly service: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  /** Base64. */
  readonly body: string;
  readonly status: number;
}

export type PushReport = ServiceFacts | PushSeen | { readonly event: 'done' };

/** A UnifiedPush distributor, Firebase, Apple and a gateway on a host of the lab, all in one process. */
export class PushServices {
  readonly facts: ServiceFacts;
  /** PEM of the authority of Apple's stand-in. */
  readonly authority: string;
  private readonly process: ManagedProcess;

  private constructor(process: ManagedProcess, facts: ServiceFacts, authority: string) {
    this.process = process;
    this.facts = facts;
    this.authority = authority;
  }

  static async start(host: Host, folder: string): Promise<PushServices> {
    const [key, cert] = [join(folder, 'apns-tls.key'), join(folder, 'apns-tls.crt')];
    const names = ['-subj', '/CN=apns', '-addext', `subjectAltName=IP:${host.address}`];
    const kind = ['-x509', '-nodes', '-days', '2', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256'];
    execFileSync('openssl', ['req', ...kind, '-keyout', key, '-out', cert, ...names], { stdio: 'ignore' });
    const settings: PushLabSettings = { address: host.address, folder };
    const process = host.spawn(globalThis.process.execPath, [MAIN, JSON.stringify(settings)]);
    const [line] = await process.waitForOutput(/^.*"event":"ready".*$/m, 60_000);
    return new PushServices(process, JSON.parse(line) as ServiceFacts, readFileSync(cert, 'utf8'));
  }

  /** Where to look from for what comes after now. */
  get mark(): number {
    return this.process.output.length;
  }

  /** The first push that is as wanted, after a mark. */
  async waitForPush(isWanted: (push: PushSeen) => boolean, after = 0): Promise<PushSeen> {
    for (;;) {
      const { mark } = this;
      const found = this.pushes(after).find(isWanted);
      if (found !== undefined) return found;
      await this.process.waitForOutput(/"event":"push".*\n/, 90_000, mark);
    }
  }

  /** All pushes after a mark. */
  pushes(after = 0): PushSeen[] {
    // The last piece may still be growing.
    const lines = this.process.output.slice(after).split('\n').slice(0, -1);
    return lines.filter((line) => line.includes('"event":"push"')).map((line) => JSON.parse(line) as PushSeen);
  }

  /** Makes the distributor answer otherwise at a path. */
  async answer(order: ServiceOrder): Promise<void> {
    const { mark } = this;
    this.process.writeLine(JSON.stringify(order));
    await this.process.waitForOutput(/"event":"done"/, 30_000, mark);
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.process.kill();
  }
}
