/**
 * The one base class of every error that Atoll throws at a caller.
 *
 * `code` is stable and meant for programs (`DHT_TIMEOUT`); `message` is one sentence for the person who reads it,
 * saying what happened and, where there is something to do, what to do about it.
 */
export class AtollError extends Error {
  readonly code: string;

  constructor(code: string, message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'AtollError';
    this.code = code;
  }
}

/** Wrong use by a person: an option, a file, a value. The command line prints the sentence and exits with 2. */
export class UsageError extends AtollError {
  constructor(message: string, options?: { cause?: unknown }) {
    super('USAGE', message, options);
    this.name = 'UsageError';
  }
}

/** The stable code of anything that was thrown: Atoll's own, Node's (`EADDRINUSE`), or `UNKNOWN`. */
export function errorCode(error: unknown): string {
  if (typeof error === 'object' && error !== null && 'code' in error && typeof error.code === 'string') {
    return error.code;
  }
  return 'UNKNOWN';
}

/** The sentence of anything that was thrown. */
export function errorMessage(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
