// One of several processes of `atoll turn`: started by workers.ts, with its sockets and a channel to the parent.
import { once } from 'node:events';
import { AtollError, Endpoint, errorMessage, UsageError } from '@atoll/base';
import type { QuotaChange, TurnServer } from '@atoll/turn';
import { turnConfiguration } from './configuration.js';
import { openTurnLog } from './log.js';
import { openServer } from './open-server.js';
import { GivenDirectives } from './read-directives.js';
import { reloadOnSignal, stopped } from './signals.js';
import { addChange, type ReservedPlace, type ToParent, type ToWorker } from './worker-messages.js';

/** How long changes of the quotas are gathered before the other processes are told, ms. */
const QUOTA_MS = 20;

const tell = (message: ToParent): void => {
  if (process.connected) process.send?.(message);
};

/** Changes of the quotas, told together. */
class QuotaReport {
  private readonly changes = new Map<string, QuotaChange>();
  private isPlanned = false;

  add(change: QuotaChange): void {
    addChange(this.changes, change);
    if (this.isPlanned) return;
    this.isPlanned = true;
    setTimeout(() => {
      this.isPlanned = false;
      if (this.changes.size > 0) tell({ kind: 'quotas', changes: [...this.changes.values()] });
      this.changes.clear();
    }, QUOTA_MS).unref();
  }
}

/** Questions to the other processes about reserved ports. */
class ReservationQuestions {
  private readonly waiting = new Map<number, (local: Endpoint | undefined) => void>();
  private lastNumber = 0;

  ask(token: Uint8Array, user: string, found: (local: Endpoint | undefined) => void): void {
    const number = ++this.lastNumber;
    this.waiting.set(number, found);
    tell({ kind: 'find', number, token: Uint8Array.from(token), user });
  }

  answer(number: number, place: ReservedPlace | undefined): void {
    this.waiting.get(number)?.(place === undefined ? undefined : Endpoint.from(place.host, place.port));
    this.waiting.delete(number);
  }
}

async function work(start: ToWorker & { kind: 'start' }): Promise<void> {
  const { directives, places, minPort, maxPort, nonceSecret } = start;
  const configuration = turnConfiguration(new GivenDirectives(directives));
  const log = openTurnLog(configuration.log);
  try {
    const quotas = new QuotaReport();
    const questions = new ReservationQuestions();
    const open = await openServer(configuration, log.logger, {
      server: { ...places, minPort, maxPort, nonceSecret },
      onQuotaChange: (change) => quotas.add(change),
      findReservation: (token, user, found) => questions.ask(token, user, found),
    });
    process.on('message', (message: ToWorker) => hear(message, open.server, questions));
    reloadOnSignal(open, log);
    tell({
      kind: 'serving',
      listeners: open.server.listeners.map((l) => `${l.protocol.toUpperCase()} listener on ${l.local}`),
    });
    // The signal may come twice, from the parent and from the terminal or the service manager.
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => {});
    // Without its parent nobody would end it.
    const orphaned = once(process, 'disconnect');
    if ((await Promise.race([stopped(open.server, log.logger), orphaned])) === 'drained') {
      // Its clients are still told so until the others have drained as well.
      tell({ kind: 'drained' });
      await Promise.race([once(process, 'SIGTERM'), orphaned]);
    }
    await open.close();
  } finally {
    await log.close();
  }
}

function hear(message: ToWorker, server: TurnServer, questions: ReservationQuestions): void {
  switch (message.kind) {
    case 'quotas':
      return server.countElsewhere(message.changes);
    case 'report':
      return tell({ kind: 'report', statistics: server.statistics() });
    case 'give-away': {
      const local = server.giveAwayReservation(message.token, message.user);
      const place = local === undefined ? undefined : { host: local.host, port: local.port };
      return tell({ kind: 'given-away', number: message.number, place });
    }
    case 'found':
      return questions.answer(message.number, message.place);
  }
}

process.once('message', async (message: ToWorker) => {
  try {
    if (message.kind === 'start') await work(message);
    process.exit(0);
  } catch (error) {
    const code = error instanceof AtollError ? error.code : 'TURN_WORKER_FAILED';
    process.send?.(
      { kind: 'failed', isUsage: error instanceof UsageError, code, message: errorMessage(error) } satisfies ToParent,
      () => process.exit(1),
    );
  }
});
tell({ kind: 'ready' });
