import { userInfo } from 'node:os';
import { AtollError, errorCode, errorMessage } from '@atoll/base';

const REASONS: Readonly<Record<string, readonly [code: string, why: () => string]>> = {
  EADDRINUSE: ['HTTP_PORT_IN_USE', () => 'another program uses it; stop that one, or choose another port'],
  EACCES: [
    'HTTP_PORT_FORBIDDEN',
    () => `${userInfo().username} may not use ports below 1024; choose a higher one, or give the right to it`,
  ],
  EADDRNOTAVAIL: ['HTTP_ADDRESS_NOT_HERE', () => 'this machine does not have the address'],
};

/** A port that cannot be listened on, with the reason for a person. */
export function listenError(cause: unknown, host: string | undefined, port: number): AtollError {
  const where = host === undefined ? `Port ${port}` : `Port ${port} of ${host}`;
  const [code, why] = REASONS[errorCode(cause)] ?? ['HTTP_PORT_UNUSABLE', () => errorMessage(cause)];
  return new AtollError(code, `${where} cannot be listened on: ${why()}.`, { cause });
}
