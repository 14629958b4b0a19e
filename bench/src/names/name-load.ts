import { connect } from 'node:net';

export interface NameLoad {
  readonly connections: number;
  readonly seconds: number;
  /** A new connection for each request, as the Jami daemon has it. */
  readonly closes?: boolean;
  readonly path: () => string;
}

/** Asks a name server over so many connections at once; resolves to the number of good answers. */
export async function askNames(port: number, load: NameLoad): Promise<number> {
  const end = performance.now() + load.seconds * 1000;
  let answers = 0;
  const request = (): string =>
    `GET ${load.path()} HTTP/1.1\r\nHost: x\r\nAccept: */*\r\n${load.closes ? 'Connection: close\r\n' : ''}\r\n`;
  const isRunning = (): boolean => performance.now() < end;
  const one = (): Promise<void> =>
    new Promise((resolve, reject) => {
      const socket = connect(port, '127.0.0.1');
      let text = '';
      socket.setEncoding('latin1');
      socket.on('connect', () => socket.write(request()));
      socket.on('data', (chunk: string) => {
        text += chunk;
        const head = text.indexOf('\r\n\r\n');
        if (head < 0) return;
        const bytes = head + 4 + Number(/content-length: (\d+)/i.exec(text)?.[1]);
        if (text.length < bytes) return;
        if (!text.startsWith('HTTP/1.1 200 ')) {
          reject(new Error(text.slice(0, 200)));
          return;
        }
        text = text.slice(bytes);
        answers++;
        if (load.closes) return;
        if (isRunning()) socket.write(request());
        else socket.end();
      });
      socket.on('error', reject);
      socket.on('close', () => resolve());
    });
  await Promise.all(
    Array.from({ length: load.connections }, async () => {
      do await one();
      while (isRunning());
    }),
  );
  return answers;
}
