import { once } from 'node:events';

/**
 * Resolves at the first SIGINT or SIGTERM. A second Ctrl-C ends the process at once; a second SIGTERM does not, because
 * service managers send it to every process of a group, and each passes it on.
 */
export async function stopSignal(): Promise<void> {
  const controller = new AbortController();
  const { signal } = controller;
  await Promise.race([once(process, 'SIGINT', { signal }), once(process, 'SIGTERM', { signal })]);
  process.on('SIGTERM', () => {});
  controller.abort();
}
