import { createPrivateKey, type KeyObject } from 'node:crypto';
import { mkdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { AtollError, errorCode } from '@atoll/base';
import { newKey } from '../authority/issue.js';
import { writeAtomically } from '../state-directory.js';

/** A certificate that a directory issued, whole in one file. */
export interface IssuedCertificate {
  /** URL of the directory that issued it. */
  readonly directory: string;
  readonly names: readonly string[];
  /** PEM, with its chain. */
  readonly certificate: string;
  /** PEM. */
  readonly privateKey: string;
  readonly obtainedMs: number;
}

/** What became of the last attempts, kept so that a hub that is started again does not ask more often for it. */
export interface AcmeAttempts {
  readonly failures: number;
  readonly lastMs: number;
  readonly nextMs: number;
  /** The directory has said when to come back. */
  readonly isTold: boolean;
  readonly code: string;
  readonly message: string;
}

/** The folder `acme` of a state directory: account, certificate, attempts. Whole or not at all, for its owner only. */
export class AcmeStore {
  private readonly folder: string;

  constructor(stateDirectory: string) {
    this.folder = join(stateDirectory, 'acme');
  }

  /** The key of the account at a directory, made when there is none. */
  async accountKey(directory: string): Promise<KeyObject> {
    const kept = await this.read('account.json');
    if (kept?.directory === directory && typeof kept.privateKey === 'string') return createPrivateKey(kept.privateKey);
    const key = newKey();
    await this.write('account.json', {
      directory,
      privateKey: key.export({ type: 'pkcs8', format: 'pem' }).toString(),
    });
    return key;
  }

  async issued(): Promise<IssuedCertificate | undefined> {
    const kept = await this.read('certificate.json');
    const isWhole =
      typeof kept?.certificate === 'string' &&
      typeof kept.privateKey === 'string' &&
      typeof kept.obtainedMs === 'number' &&
      Array.isArray(kept.names);
    return isWhole ? (kept as unknown as IssuedCertificate) : undefined;
  }

  keepIssued(issued: IssuedCertificate): Promise<void> {
    return this.write('certificate.json', { ...issued });
  }

  /** Undefined when the last one succeeded. */
  async attempts(): Promise<AcmeAttempts | undefined> {
    const kept = await this.read('attempts.json');
    return typeof kept?.message === 'string' ? (kept as unknown as AcmeAttempts) : undefined;
  }

  keepAttempts(attempts: AcmeAttempts | undefined): Promise<void> {
    return this.write('attempts.json', { ...attempts });
  }

  /** Undefined when it is not there or damaged: what cannot be read is got anew. */
  private async read(name: string): Promise<Readonly<Record<string, unknown>> | undefined> {
    const path = join(this.folder, name);
    try {
      const kept: unknown = JSON.parse(await readFile(path, 'utf8'));
      return typeof kept === 'object' && kept !== null ? { ...kept } : undefined;
    } catch (cause) {
      if (errorCode(cause) === 'ENOENT' || cause instanceof SyntaxError) return undefined;
      throw new AtollError(
        'ACME_STATE_UNREADABLE',
        `${path}, which is of the ACME directory, cannot be read: ${errorCode(cause)}. Let the hub’s user read it.`,
        { cause },
      );
    }
  }

  private async write(name: string, content: Readonly<Record<string, unknown>>): Promise<void> {
    await mkdir(this.folder, { recursive: true, mode: 0o700 });
    await writeAtomically(join(this.folder, name), `${JSON.stringify(content)}\n`);
  }
}
