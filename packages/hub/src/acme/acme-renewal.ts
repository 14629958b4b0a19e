import { createPrivateKey, X509Certificate } from 'node:crypto';
import { AtollError, errorCode, errorMessage, type Logger } from '@atoll/base';
import { newKey, requestFor } from '../authority/issue.js';
import type { AcmeFacts } from '../portal/api.js';
import { type AcmeClient, RetryAfter } from './acme-client.js';
import type { AcmeAttempts, AcmeStore } from './acme-store.js';

/** A certificate is renewed when so much of its life is over. */
const RENEW_AT = 2 / 3;
/** After a failure, and the wait grows so much with each further one. A start of the hub counts as no reason to hurry. */
const FIRST_RETRY_MS = 2 * 60_000;
const RETRY_GROWTH = 3;
const LONGEST_RETRY_MS = 12 * 60 * 60_000;
/** What a directory asks to wait is believed up to this, ms. */
const LONGEST_TOLD_MS = 7 * 24 * 60 * 60_000;
/** The clock is looked at so often at least, ms: it may be set. */
const LONGEST_SLEEP_MS = 60 * 60_000;
/** However short a certificate lives, ms. */
const LEAST_BETWEEN_MS = 10_000;

export interface AcmeRenewalComponents {
  readonly store: AcmeStore;
  readonly client: Pick<AcmeClient, 'order'>;
  readonly logger: Logger;
  readonly unixMs: () => number;
  /** Waits, or ends early when the signal says so. */
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Takes up a new certificate, which lies in the store. */
  readonly onIssued: () => Promise<void>;
}

export interface AcmeRenewalOptions {
  readonly directory: string;
  readonly names: readonly string[];
}

/** Keeps a certificate of an ACME directory: got when there is none that fits, renewed in time, asked for ever less often. */
export class AcmeRenewal {
  private readonly parts: AcmeRenewalComponents;
  private readonly options: AcmeRenewalOptions;
  private readonly stopping = new AbortController();
  private running: Promise<void> = Promise.resolve();
  private attempts: AcmeAttempts | undefined;
  private nextMs = 0;

  constructor(parts: AcmeRenewalComponents, options: AcmeRenewalOptions) {
    this.parts = parts;
    this.options = options;
  }

  /** Begins; what comes of it is in the log and in {@link facts}. */
  async start(): Promise<void> {
    const nowMs = this.parts.unixMs();
    this.nextMs = await this.dueMs();
    const attempts = await this.parts.store.attempts();
    // Of a clock that was ahead when it was written, nothing can be believed.
    if (attempts !== undefined && attempts.lastMs <= nowMs) {
      this.attempts = attempts;
      const { isTold, nextMs, lastMs } = attempts;
      this.nextMs = Math.max(this.nextMs, isTold ? nextMs : Math.min(nextMs, lastMs + FIRST_RETRY_MS));
    }
    this.running = this.run(this.stopping.signal);
  }

  get facts(): AcmeFacts {
    const { attempts, nextMs } = this;
    const { directory, names } = this.options;
    return {
      directory: new URL(directory).host,
      names,
      nextMs,
      ...(attempts === undefined ? {} : { problem: { code: attempts.code, message: attempts.message } }),
    };
  }

  async stop(): Promise<void> {
    this.stopping.abort();
    await this.running;
  }

  private async run(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const leftMs = this.nextMs - this.parts.unixMs();
      if (leftMs > 0) await this.parts.wait(Math.min(leftMs, LONGEST_SLEEP_MS), signal);
      else await this.renew(signal);
    }
  }

  private async renew(signal: AbortSignal): Promise<void> {
    const { store, client, logger, unixMs, onIssued } = this.parts;
    const { directory, names } = this.options;
    try {
      logger.info(`${new URL(directory).host} is asked for a certificate of ${names.join(', ')}.`);
      const key = newKey();
      const certificate = await client.order(names, await requestFor(key, names), signal);
      const privateKey = key.export({ type: 'pkcs8', format: 'pem' }).toString();
      checkIssued(certificate, privateKey, unixMs());
      await store.keepIssued({ directory, names, certificate, privateKey, obtainedMs: unixMs() });
      this.attempts = undefined;
      await store.keepAttempts(undefined);
      await onIssued();
      this.nextMs = Math.max(await this.dueMs(), unixMs() + LEAST_BETWEEN_MS);
    } catch (error) {
      if (!signal.aborted) await this.failed(error);
    }
  }

  private async failed(error: unknown): Promise<void> {
    const { store, logger, unixMs } = this.parts;
    const lastMs = unixMs();
    const failures = (this.attempts?.failures ?? 0) + 1;
    const told = error instanceof Error && error.cause instanceof RetryAfter ? error.cause.ms : 0;
    const waitMs = Math.max(
      Math.min(FIRST_RETRY_MS * RETRY_GROWTH ** (failures - 1), LONGEST_RETRY_MS),
      Math.min(told, LONGEST_TOLD_MS),
    );
    this.nextMs = lastMs + waitMs;
    const message = errorMessage(error);
    this.attempts = { failures, lastMs, nextMs: this.nextMs, isTold: told > 0, code: errorCode(error), message };
    const again = new Date(this.nextMs).toISOString().slice(0, 16).replace('T', ' ');
    logger.warn(`${message} The hub goes on with the certificate that it has, and tries again at ${again} UTC.`);
    await store.keepAttempts(this.attempts).catch((cause: unknown) => logger.warn(errorMessage(cause)));
  }

  /** When the next certificate is to be got; 0 when there is no whole one of this directory with these names. */
  private async dueMs(): Promise<number> {
    const { directory, names } = this.options;
    const issued = await this.parts.store.issued();
    if (issued === undefined || issued.directory !== directory) return 0;
    if (issued.names.join() !== names.join()) return 0;
    try {
      const endMs = Date.parse(new X509Certificate(issued.certificate).validTo);
      return issued.obtainedMs + RENEW_AT * (endMs - issued.obtainedMs);
    } catch {
      return 0;
    }
  }
}

/** A certificate that this hub could not show is not kept. */
function checkIssued(certificate: string, privateKey: string, nowMs: number): void {
  let why: string | undefined;
  try {
    const parsed = new X509Certificate(certificate);
    if (!parsed.checkPrivateKey(createPrivateKey(privateKey))) why = 'it is for another key';
    else if (Date.parse(parsed.validFrom) > nowMs) why = `it begins on ${parsed.validFrom}: is the clock right?`;
    else if (Date.parse(parsed.validTo) <= nowMs) why = `it ended on ${parsed.validTo}: is the clock right?`;
  } catch (error) {
    why = errorMessage(error);
  }
  if (why !== undefined) {
    throw new AtollError('ACME_CERTIFICATE_UNUSABLE', `The certificate that was issued cannot be used: ${why}.`);
  }
}
