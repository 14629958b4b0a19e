import { userInfo } from 'node:os';
import { errorMessage, UsageError } from '@atoll/base';
import type { TurnConfiguration } from './configuration.js';

/** Ports are open: the rest needs no rights of root. A user without a group goes on in the user's own. */
export function takeLesserRights({ user, group }: Pick<TurnConfiguration, 'user' | 'group'>): void {
  try {
    const next = group ?? (user === undefined ? undefined : ownGroupOf(user));
    if (next !== undefined) process.setgid?.(next);
    if (user !== undefined && next !== undefined) {
      initgroups(user, next);
      process.setuid?.(user);
    }
  } catch (cause) {
    throw new UsageError(`proc-user and proc-group: ${errorMessage(cause)}`, { cause });
  }
}

/** Node tells the group of the effective user alone, so this process becomes that user for a moment. */
function ownGroupOf(user: string): number {
  const before = process.geteuid?.() ?? 0;
  process.seteuid?.(user);
  try {
    return userInfo().gid;
  } finally {
    process.seteuid?.(before);
  }
}

/** In Node for ever, missing in its type declarations. */
function initgroups(user: string, group: string | number): void {
  const { initgroups: take } = process as { initgroups?: (user: string, group: string | number) => void };
  take?.call(process, user, group);
}
