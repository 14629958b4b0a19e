/** The hub refused, or did not answer: `message` is a sentence to show. */
export class RequestError extends Error {
  readonly status: number;
  readonly code: string;

  /** @param status that of HTTP; 0 when nothing answered */
  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

interface Options {
  readonly method?: 'GET' | 'POST' | 'PATCH' | 'DELETE';
  /** Sent as JSON, a file as it is. */
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

/**
 * Asks the hub. `T` is what the contract (`packages/hub/src/portal/api.ts`) promises for the path.
 *
 * @throws {RequestError} when it refuses or does not answer
 */
export async function request<T>(path: string, { method = 'GET', body, signal }: Options = {}): Promise<T> {
  const isFile = body instanceof Blob;
  let response: Response;
  try {
    response = await fetch(`/api/${path}`, {
      method,
      credentials: 'same-origin',
      headers: {
        ...(method === 'GET' ? {} : { 'X-Atoll': '1' }),
        ...(body === undefined ? {} : { 'Content-Type': isFile ? 'application/octet-stream' : 'application/json' }),
      },
      body: body === undefined ? null : isFile ? body : JSON.stringify(body),
      signal: signal ?? null,
    });
  } catch (error) {
    if (signal?.aborted) throw error;
    throw new RequestError(0, 'NO_ANSWER', '');
  }
  const text = await response.text();
  if (!response.ok) throw refusal(response.status, text);
  return (text === '' ? undefined : JSON.parse(text)) as T;
}

function refusal(status: number, text: string): RequestError {
  try {
    const { error } = JSON.parse(text) as { error?: { code?: unknown; message?: unknown } };
    if (typeof error?.code === 'string' && typeof error.message === 'string') {
      return new RequestError(status, error.code, error.message);
    }
  } catch {
    // Not JSON: something between here and the hub answered.
  }
  return new RequestError(status, 'UNKNOWN', `HTTP ${status}`);
}
