import { readFile } from 'node:fs/promises';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import { writeAtomically } from './state-directory.js';

/** Users that an operator can add. */
const MAX_TURN_USERS = 1000;

/** A user of the hub's TURN server. */
export interface StoredTurnUser {
  readonly name: string;
  readonly password: string;
}

/** The users of the TURN server beside the hub's own, kept where only the owner reads them. */
export class TurnUsers {
  private readonly path: string;
  private users = new Map<string, StoredTurnUser>();
  private readonly listeners = new Set<() => void>();

  private constructor(path: string) {
    this.path = path;
  }

  /** Fails with `TURN_USERS_UNREADABLE`. */
  static async open(path: string): Promise<TurnUsers> {
    const store = new TurnUsers(path);
    try {
      const users = JSON.parse(await readFile(path, 'utf8')) as unknown;
      if (!Array.isArray(users)) throw new Error('it is no list');
      for (const { name, password } of users as StoredTurnUser[]) store.users.set(String(name), { name, password });
    } catch (cause) {
      if (errorCode(cause) !== 'ENOENT') {
        throw new AtollError(
          'TURN_USERS_UNREADABLE',
          `The TURN users in ${path} cannot be read: ${errorMessage(cause)}`,
          { cause },
        );
      }
    }
    return store;
  }

  all(): readonly StoredTurnUser[] {
    return [...this.users.values()];
  }

  /** Adds a user, or changes his password. Fails with `TURN_USERS_FULL`. */
  async add(user: StoredTurnUser): Promise<void> {
    if (this.users.size >= MAX_TURN_USERS && !this.users.has(user.name)) {
      throw new AtollError(
        'TURN_USERS_FULL',
        `There are ${MAX_TURN_USERS} TURN users, which is as many as there may be.`,
      );
    }
    await this.keep(new Map(this.users).set(user.name, user));
  }

  /** False when there is none of that name. */
  async remove(name: string): Promise<boolean> {
    const users = new Map(this.users);
    if (!users.delete(name)) return false;
    await this.keep(users);
    return true;
  }

  /** Hears of every change; returns what ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  private async keep(users: Map<string, StoredTurnUser>): Promise<void> {
    await writeAtomically(this.path, `${JSON.stringify([...users.values()], undefined, 2)}\n`);
    this.users = users;
    for (const listener of this.listeners) listener();
  }
}
