/**
 * Resolves at the first SIGINT or SIGTERM. A second Ctrl-C ends the process at once; a second SIGTERM does not, because
 * service managers send it to every process of a group, and each passes it on.
 */
export function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    const stop = (): void => {
      process.removeListener('SIGINT', stop);
      resolve();
    };
    process.on('SIGINT', stop);
    // It stays: without a listener, even for a moment, the next signal would end the process as it stands.
    process.on('SIGTERM', stop);
  });
}
