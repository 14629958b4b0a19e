import { AtollError, errorCode, type Family } from '@atoll/base';

/** The error of a bind that failed, with a sentence that names the address and what to do. */
export function bindError(cause: unknown, family: Family, address: string | undefined, port: number): AtollError {
  const where = `UDP port ${port}${address === undefined ? '' : ` on ${address}`} (IPv${family})`;
  switch (errorCode(cause)) {
    case 'EADDRINUSE':
      return new AtollError(
        'UDP_PORT_IN_USE',
        `${where} is in use by another program; stop it or choose another port.`,
        {
          cause,
        },
      );
    case 'EADDRNOTAVAIL':
      return new AtollError('UDP_ADDRESS_NOT_AVAILABLE', `${where}: this machine has no such address.`, { cause });
    case 'EACCES':
    case 'EPERM':
      return new AtollError('UDP_NOT_PERMITTED', `${where} may not be opened by this user; choose a port above 1023.`, {
        cause,
      });
    case 'EAFNOSUPPORT':
      return new AtollError('UDP_FAMILY_NOT_SUPPORTED', `This machine has no IPv${family}.`, { cause });
    default:
      return new AtollError('UDP_OPEN_FAILED', `${where} could not be opened: ${errorCode(cause)}.`, { cause });
  }
}
