import { spawn } from 'node:child_process';
import { createWriteStream } from 'node:fs';
import { type Logger, type LogLevel, silentLogger } from '@atoll/base';

const ANSI: Partial<Record<LogLevel, string>> = { error: '31', warn: '33' };
const SYSLOG: Record<LogLevel, number> = { debug: 6, info: 6, warn: 4, error: 3 };
/** LOG_USER, shifted as the protocol has it. */
const FACILITY = 1 << 3;

/** Where the node's log goes. */
export interface NodeLog {
  readonly logger: Logger;
  close(): Promise<void>;
}

/** `[seconds.micros] ` on the monotonic clock, as dhtnode writes it (protocol/dht.md 25). */
function stamp(): string {
  const micros = process.hrtime.bigint() / 1000n;
  return `[${String(micros / 1_000_000n).padStart(6, '0')}.${String(micros % 1_000_000n).padStart(6, '0')}] `;
}

function loggerOf(write: (level: LogLevel, message: string) => void): Logger {
  return {
    debug: (message) => write('debug', message),
    info: (message) => write('info', message),
    warn: (message) => write('warn', message),
    error: (message) => write('error', message),
  };
}

/** No log. */
export function noLog(): NodeLog {
  return { logger: silentLogger, close: async () => {} };
}

/** To stderr, colored when that is a terminal and nobody objects. */
export function stderrLog(): NodeLog {
  const isColored = process.stderr.isTTY && process.env.NO_COLOR === undefined;
  const logger = loggerOf((level, message) => {
    const color = isColored ? ANSI[level] : undefined;
    process.stderr.write(
      color === undefined ? `${stamp()}${message}\n` : `\x1b[${color}m${stamp()}${message}\x1b[39m\n`,
    );
  });
  return { logger, close: async () => {} };
}

/** To a file, emptied first. */
export function fileLog(path: string): Promise<NodeLog> {
  const stream = createWriteStream(path, { mode: 0o640 });
  const logger = loggerOf((_level, message) => void stream.write(`${stamp()}${message}\n`));
  return new Promise((resolve, reject) => {
    stream.once('error', reject);
    stream.once('open', () => {
      resolve({ logger, close: () => new Promise((done) => stream.end(() => done())) });
    });
  });
}

/** To the system log, through `logger`: Node itself cannot open the system log's socket. */
export function systemLog(): NodeLog {
  const child = spawn('logger', ['--tag', 'dhtnode', '--prio-prefix'], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  const logger = loggerOf((level, message) => {
    if (child.stdin.writable) child.stdin.write(`<${FACILITY | SYSLOG[level]}>${message}\n`);
  });
  return { logger, close: () => new Promise((done) => child.stdin.end(() => done())) };
}
