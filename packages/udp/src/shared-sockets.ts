import { closeSync } from 'node:fs';
import type { Family } from '@atoll/base';
import { bindError } from './bind-error.js';
import { loadedGroup } from './native-group.js';

/** Connections that wait until a process takes them. */
const BACKLOG = 1024;

export interface SharedSocketOptions {
  readonly kind: 'udp' | 'tcp';
  readonly family: Family;
  readonly address: string;
  readonly port: number;
  /** Of the kernel's buffers. */
  readonly bufferBytes?: number;
}

/**
 * Binds `count` sockets to one address and port, one for each of as many processes, and gives their descriptors. Who keeps
 * them open while processes come and go keeps each client with its socket: the kernel chooses a UDP socket by the client's
 * address and port, and a TCP listener by its address. Fails as `openDatagramSocket` does for UDP and as `bind` does for
 * TCP, also when another program has the port, however it would share it.
 */
export function bindShared(options: SharedSocketOptions, count: number): number[] {
  const { kind, family, address, port, bufferBytes = 0 } = options;
  const isStream = kind === 'tcp';
  const descriptors: number[] = [];
  try {
    if (typeof loadedGroup === 'string') throw new Error(`the native part of UDP is ${loadedGroup}`);
    // Only for a moment and not to be shared: tells whether the port is free.
    closeSync(loadedGroup.bind(isStream, family, address, port, false, 0));
    for (let i = 0; i < count; i++) {
      const descriptor = loadedGroup.bind(isStream, family, address, port, true, bufferBytes);
      descriptors.push(descriptor);
      if (isStream) loadedGroup.listen(descriptor, family, BACKLOG, count);
    }
    return descriptors;
  } catch (cause) {
    for (const descriptor of descriptors) closeSync(descriptor);
    throw isStream ? cause : bindError(cause, family, address, port);
  }
}
