import { spawn } from 'node:child_process';
import { closeSync, openSync, writeSync } from 'node:fs';
import { errorMessage, type Logger, type LogLevel, UsageError } from '@atoll/base';
import type { TurnConfiguration } from './configuration.js';

const SEVERITIES: Record<LogLevel, number> = { debug: 7, info: 6, warn: 4, error: 3 };
const FACILITIES: Readonly<Record<string, number>> = {
  kern: 0,
  user: 1,
  mail: 2,
  daemon: 3,
  auth: 4,
  syslog: 5,
  lpr: 6,
  news: 7,
  uucp: 8,
  cron: 9,
  authpriv: 10,
  ftp: 11,
  ...Object.fromEntries(Array.from({ length: 8 }, (_, n) => [`local${n}`, 16 + n])),
};

const LABELS: Record<LogLevel, string> = { debug: 'DEBUG', info: 'INFO', warn: 'WARN', error: 'ERROR' };
const LINE_BREAK = /[\r\n]/;
const LINE_BREAKS = /[\r\n]/g;

/** Where the log goes. */
export interface TurnLog {
  readonly logger: Logger;
  /** Opens the file anew, after it was moved away. */
  reopen(): void;
  close(): Promise<void>;
}

type Sink = (level: LogLevel, line: string) => void;

/** Opens the log; throws a usage error naming a file that cannot be written. */
export function openTurnLog(settings: TurnConfiguration['log']): TurnLog {
  const sinks: Sink[] = [];
  let descriptor: number | undefined;
  const open = (): void => {
    if (settings.file === undefined) return;
    if (descriptor !== undefined) closeSync(descriptor);
    try {
      descriptor = openSync(settings.file, 'a', 0o640);
    } catch (cause) {
      throw new UsageError(`The log file ${settings.file} cannot be written: ${errorMessage(cause)}`, { cause });
    }
  };
  open();
  let waiting = '';
  const writeFile = (): void => {
    if (descriptor !== undefined && waiting !== '') writeSync(descriptor, waiting);
    waiting = '';
  };
  const syslog = settings.toSyslog ? openSyslog(settings.facility) : undefined;
  if (syslog !== undefined) sinks.push(syslog.write);
  if (settings.file !== undefined) {
    sinks.push((_level, line) => {
      // The lines of a batch of messages go together, before anything else happens.
      if (waiting === '') queueMicrotask(writeFile);
      waiting += `${line}\n`;
    });
  }
  if (settings.toStdout) sinks.push((_level, line) => void process.stdout.write(`${line}\n`));
  const write = (level: LogLevel, message: string, fields?: Readonly<Record<string, unknown>>): void => {
    if (level === 'debug' && settings.level !== 'debug') return;
    const line = settings.isJson
      ? jsonLine(level, message, fields)
      : textLine(level, message, fields, settings.toSyslog);
    for (const sink of sinks) sink(level, line);
  };
  return {
    logger: {
      debug: (message, fields) => write('debug', message, fields),
      info: (message, fields) => write('info', message, fields),
      warn: (message, fields) => write('warn', message, fields),
      error: (message, fields) => write('error', message, fields),
    },
    reopen() {
      writeFile();
      open();
    },
    async close() {
      writeFile();
      if (descriptor !== undefined) closeSync(descriptor);
      descriptor = undefined;
      await syslog?.close();
    },
  };
}

function jsonLine(level: LogLevel, message: string, fields: Readonly<Record<string, unknown>> = {}): string {
  return JSON.stringify({ time: new Date().toISOString(), level, message, ...fields });
}

function textLine(
  level: LogLevel,
  message: string,
  fields: Readonly<Record<string, unknown>> = {},
  isTimedElsewhere: boolean,
): string {
  let line = `${LABELS[level]}: ${message}`;
  for (const name in fields) line += `, ${name} <${String(fields[name])}>`;
  if (LINE_BREAK.test(line)) line = line.replace(LINE_BREAKS, ' ');
  return isTimedElsewhere ? line : `${timeText(Date.now())} ${line}`;
}

let lastTime = { ms: 0, text: '' };

/** Many lines are of one millisecond. */
function timeText(ms: number): string {
  if (ms !== lastTime.ms) lastTime = { ms, text: new Date(ms).toISOString() };
  return lastTime.text;
}

/** The system log, through `logger`: Node itself cannot open the system log's socket. */
function openSyslog(facility: string): { write: Sink; close(): Promise<void> } {
  const number = FACILITIES[facility.toLowerCase().replace(/^log_/, '')];
  if (number === undefined) throw new UsageError(`syslog-facility: there is no facility “${facility}”.`);
  const child = spawn('logger', ['--tag', 'turnserver', '--prio-prefix'], { stdio: ['pipe', 'ignore', 'ignore'] });
  child.on('error', () => {});
  child.stdin.on('error', () => {});
  return {
    write(level, line) {
      if (child.stdin.writable) child.stdin.write(`<${(number << 3) | SEVERITIES[level]}>${line}\n`);
    },
    close: () => new Promise((done) => child.stdin.end(() => done())),
  };
}
