import type { Logger } from '@atoll/base';
import { pino } from 'pino';

/** Names of fields whose values are never written. */
const SECRETS = ['password', 'secret', 'token', 'privateKey', 'authorization'];

/** Logs as one JSON object per line, for machines. */
export function jsonLogger(stream: NodeJS.WritableStream): Logger {
  const log = pino(
    { level: 'info', redact: SECRETS.flatMap((name) => [name, `*.${name}`]), base: undefined },
    { write: (line: string) => void stream.write(line) },
  );
  return {
    debug: (message, fields) => log.debug(fields ?? {}, message),
    info: (message, fields) => log.info(fields ?? {}, message),
    warn: (message, fields) => log.warn(fields ?? {}, message),
    error: (message, fields) => log.error(fields ?? {}, message),
  };
}

/** Logs as lines for people. */
export function textLogger(stream: NodeJS.WritableStream): Logger {
  const line = (message: string): void => void stream.write(`${message}\n`);
  return { debug: () => {}, info: line, warn: line, error: line };
}
