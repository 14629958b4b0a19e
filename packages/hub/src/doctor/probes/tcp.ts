import { connect } from 'node:net';

/** What came of connecting. */
export type TcpOutcome = 'open' | 'refused' | 'silent';

/** Whether something takes connections there. */
export function tryTcp(host: string, port: number, limitMs: number): Promise<TcpOutcome> {
  return new Promise((resolve) => {
    const socket = connect({ host, port });
    const end = (outcome: TcpOutcome): void => {
      socket.destroy();
      clearTimeout(late);
      resolve(outcome);
    };
    const late = setTimeout(() => end('silent'), limitMs);
    socket.once('connect', () => end('open'));
    socket.once('error', (error: NodeJS.ErrnoException) => end(error.code === 'ECONNREFUSED' ? 'refused' : 'silent'));
  });
}
