import { createHash, randomBytes, scrypt, timingSafeEqual } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { promisify } from 'node:util';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import { writeAtomically } from '../state-directory.js';

/** Sessions at a time; of more, the oldest ends. */
const MAX_SESSIONS = 64;
const SESSION_MS = 12 * 60 * 60_000;
export const MIN_PASSWORD_CHARACTERS = 8;
export const MAX_PASSWORD_CHARACTERS = 1024;
/** scrypt with 32 MiB: about a tenth of a second. */
const COST = { N: 32_768, r: 8, p: 1, maxmem: 64 * 1024 * 1024 };
const HASH_BYTES = 32;
const TOKEN_BYTES = 24;
const derive = promisify<string, Buffer, number, typeof COST, Buffer>(scrypt);

interface StoredPassword {
  readonly salt: string;
  readonly hash: string;
}

/**
 * Who may do what only the operator may: one password, kept as its scrypt hash, and sessions in memory. While no password
 * is set a link that works once takes its place.
 */
export class Sessions {
  private readonly path: string;
  private readonly unixMs: () => number;
  /** By the hash of the token, in the order of their making: what lies in memory opens nothing. */
  private readonly sessions = new Map<string, number>();
  private password: StoredPassword | undefined;
  private link: string | undefined;

  constructor(path: string, unixMs: () => number) {
    this.path = path;
    this.unixMs = unixMs;
  }

  /** Reads the password. Fails with `PORTAL_PASSWORD_UNREADABLE`: without it, nobody is let in by mistake. */
  async restore(): Promise<void> {
    try {
      const { salt, hash } = JSON.parse(await readFile(this.path, 'utf8')) as Partial<StoredPassword>;
      if (typeof salt !== 'string' || typeof hash !== 'string') throw new Error('it holds no salt and hash');
      this.password = { salt, hash };
    } catch (cause) {
      if (errorCode(cause) === 'ENOENT') return;
      throw new AtollError(
        'PORTAL_PASSWORD_UNREADABLE',
        `The operator's password in ${this.path} cannot be read: ${errorMessage(cause)}. Delete the file to set a new one.`,
        { cause },
      );
    }
  }

  get isPasswordSet(): boolean {
    return this.password !== undefined;
  }

  /** The secret of the link that works once, another one after each use; undefined when there is a password. */
  linkSecret(): string | undefined {
    if (this.isPasswordSet) return undefined;
    this.link ??= randomBytes(TOKEN_BYTES).toString('base64url');
    return this.link;
  }

  /** Opens a session for the secret of a link. */
  openByLink(link: string): { token: string; endsMs: number } | undefined {
    if (this.isPasswordSet || this.link === undefined || !isSame(digest(link), digest(this.link))) return undefined;
    this.link = undefined;
    return this.open();
  }

  /** Opens a session for the password. */
  async openByPassword(password: string): Promise<{ token: string; endsMs: number } | undefined> {
    const { password: stored } = this;
    // Without a password set, it takes as long, too.
    const hash = await hashOf(password, Buffer.from(stored?.salt ?? '', 'base64'));
    return stored !== undefined && isSame(hash, stored.hash) ? this.open() : undefined;
  }

  /** Sets the password; every other session ends. */
  async setPassword(password: string, token: string): Promise<void> {
    const salt = randomBytes(16);
    const stored = { salt: salt.toString('base64'), hash: await hashOf(password, salt) };
    await writeAtomically(this.path, `${JSON.stringify(stored)}\n`);
    this.password = stored;
    this.link = undefined;
    const own = digest(token);
    for (const session of this.sessions.keys()) if (session !== own) this.sessions.delete(session);
  }

  isOpen(token: string): boolean {
    const key = digest(token);
    const endsMs = this.sessions.get(key);
    if (endsMs === undefined) return false;
    if (endsMs > this.unixMs()) return true;
    this.sessions.delete(key);
    return false;
  }

  close(token: string): void {
    this.sessions.delete(digest(token));
  }

  private open(): { token: string; endsMs: number } {
    if (this.sessions.size >= MAX_SESSIONS) {
      const [oldest] = this.sessions.keys();
      if (oldest !== undefined) this.sessions.delete(oldest);
    }
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const endsMs = this.unixMs() + SESSION_MS;
    this.sessions.set(digest(token), endsMs);
    return { token, endsMs };
  }
}

function digest(token: string): string {
  return createHash('sha256').update(token).digest('base64');
}

function isSame(one: string, other: string): boolean {
  const [a, b] = [Buffer.from(one, 'base64'), Buffer.from(other, 'base64')];
  return a.length === b.length && timingSafeEqual(a, b);
}

async function hashOf(password: string, salt: Buffer): Promise<string> {
  return (await derive(password.normalize('NFC'), salt, HASH_BYTES, COST)).toString('base64');
}
