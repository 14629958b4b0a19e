import { errorMessage, type Logger } from '@atoll/base';
import type { TurnServer } from '@atoll/turn';
import type { TurnLog } from './log.js';
import type { OpenServer } from './open-server.js';

/** SIGHUP and SIGUSR2: the log is opened anew, store and certificate are read again. */
export function reloadOnSignal({ server, refresh }: OpenServer, log: TurnLog): void {
  const reload = (): void => {
    log.reopen();
    void refresh();
    try {
      if (server.reloadCertificate() !== undefined) log.logger.info('The certificate was read again');
    } catch (error) {
      log.logger.error(`The old certificate stays in use: ${errorMessage(error)}`);
    }
  };
  process.on('SIGHUP', reload);
  process.on('SIGUSR2', reload);
}

/** SIGINT and SIGTERM end at once; SIGUSR1 takes no new allocations and ends when the last one has. Tells which it was. */
export function stopped(server: TurnServer, logger: Logger): Promise<'ended' | 'drained'> {
  return new Promise((resolve) => {
    const end = new AbortController();
    const stop = (): void => {
      end.abort();
      resolve('ended');
    };
    process.once('SIGINT', stop);
    process.once('SIGTERM', stop);
    process.once('SIGUSR1', () => {
      logger.info(`Draining: ${server.allocations} allocations are waited for`);
      server.drain(end.signal).then(
        () => resolve('drained'),
        () => resolve('drained'),
      );
    });
  });
}
