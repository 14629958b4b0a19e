import type { Logger, LogLevel } from '@atoll/base';
import type { LogPage } from './api.js';

/** Lines kept for the portal, and characters of one. */
const MAX_LOG_LINES = 1000;
const MAX_LINE_CHARACTERS = 2000;

/** The latest lines of the hub's log, for the operator's page. Fields are left out: secrets stand there, if anywhere. */
export class LogRing {
  private readonly unixMs: () => number;
  private lines: { readonly atMs: number; readonly level: string; readonly message: string }[] = [];
  /** Lines that there ever were. */
  private count = 0;

  constructor(unixMs: () => number) {
    this.unixMs = unixMs;
  }

  /** A logger that writes here, too. */
  over(logger: Logger): Logger {
    const both =
      (level: LogLevel): Logger['info'] =>
      (message, fields) => {
        this.add(level, message);
        logger[level](message, fields);
      };
    return {
      debug: (message, fields) => logger.debug(message, fields),
      info: both('info'),
      warn: both('warn'),
      error: both('error'),
    };
  }

  /** Lines behind a cursor of an earlier page; all that are kept for 0. */
  after(cursor: number): LogPage {
    const isOurs = cursor >= 0 && cursor <= this.count;
    const first = this.count - this.lines.length;
    return { lines: this.lines.slice(isOurs ? Math.max(0, cursor - first) : 0), cursor: this.count };
  }

  private add(level: string, message: string): void {
    this.lines.push({ atMs: this.unixMs(), level, message: message.slice(0, MAX_LINE_CHARACTERS) });
    this.count++;
    if (this.lines.length > MAX_LOG_LINES) this.lines = this.lines.slice(-MAX_LOG_LINES / 2);
  }
}
