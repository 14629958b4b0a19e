import { AtollError } from '@atoll/base';

/** Thrown by a handler to answer a status other than success; the server writes it as its JSON error body. */
export class HttpError extends AtollError {
  readonly status: number;
  /** The exact body a protocol asks for, instead of the server's own form. */
  readonly body: string | undefined;
  /** Further headers, name and value in turn. */
  readonly headers: readonly string[];

  constructor(
    status: number,
    code: string,
    message: string,
    options: { readonly body?: string; readonly headers?: readonly string[]; readonly cause?: unknown } = {},
  ) {
    super(code, message, options.cause === undefined ? {} : { cause: options.cause });
    this.status = status;
    this.body = options.body;
    this.headers = options.headers ?? [];
  }
}
