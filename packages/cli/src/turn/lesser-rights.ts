import { errorMessage, UsageError } from '@atoll/base';
import type { TurnConfiguration } from './configuration.js';

/** Ports are open: the rest needs no rights of root. */
export function takeLesserRights({ user, group }: TurnConfiguration): void {
  try {
    if (group !== undefined) process.setgid?.(group);
    if (user !== undefined) {
      initgroups(user, group ?? user);
      process.setuid?.(user);
    }
  } catch (cause) {
    throw new UsageError(`proc-user and proc-group: ${errorMessage(cause)}`, { cause });
  }
}

/** In Node for ever, missing in its type declarations. */
function initgroups(user: string, group: string): void {
  const { initgroups: take } = process as { initgroups?: (user: string, group: string) => void };
  take?.call(process, user, group);
}
