/** Waits of tests end with a sentence that says what did not happen. Milliseconds. */
const DEFAULT_DEADLINE_MS = 60_000;

/** Rejects with `what` when the promise takes longer. */
export async function within<T>(promise: Promise<T>, what: () => string, limitMs = DEFAULT_DEADLINE_MS): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what()} (waited ${limitMs / 1000} s)`)), limitMs);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

/** Asks again and again, a few times a second, until the answer is yes. For states that announce no event. */
export async function eventually(
  isTrue: () => Promise<boolean> | boolean,
  what: string,
  limitMs = DEFAULT_DEADLINE_MS,
): Promise<void> {
  const end = performance.now() + limitMs;
  while (!(await isTrue())) {
    if (performance.now() > end) throw new Error(`${what} (waited ${limitMs / 1000} s)`);
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
}
