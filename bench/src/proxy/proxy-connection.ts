import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

const HEAD_END = '\r\n\r\n';
/** The last chunk of a chunked answer. */
const LAST_CHUNK = '0\r\n\r\n';

/** A connection to a proxy that is kept open from request to request; it knows just as much HTTP as that takes. */
export class ProxyConnection {
  private readonly socket: Socket;
  private text = '';
  private isStream = false;
  private onAnswer: (status: number, body: string) => void = () => {};
  private onLines: (text: string) => void = () => {};

  private constructor(socket: Socket) {
    this.socket = socket;
    socket.setEncoding('latin1').setNoDelay(true);
    socket.on('data', (text: string) => this.receive(text));
    socket.on('error', () => {});
  }

  static async open(port: number): Promise<ProxyConnection> {
    const socket = connect(port, '127.0.0.1');
    await once(socket, 'connect');
    return new ProxyConnection(socket);
  }

  /** One request at a time. The body of the answer is as it came, chunks and all. */
  request(method: 'GET' | 'POST', path: string, body: string, onAnswer: (status: number, body: string) => void): void {
    this.onAnswer = onAnswer;
    const length = method === 'POST' ? `Content-Type: application/json\r\nContent-Length: ${body.length}\r\n` : '';
    this.socket.write(
      `${method} ${path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: keep-alive\r\n${length}\r\n${body}`,
    );
  }

  /** Listens to a key; resolves when the answer has begun. `onLines` hears whatever comes then. */
  listen(key: string, onLines: (text: string) => void): Promise<void> {
    this.isStream = true;
    return new Promise((resolve) => {
      this.onLines = onLines;
      this.request('GET', `/key/${key}/listen`, '', () => resolve());
    });
  }

  close(): void {
    this.socket.destroy();
  }

  private receive(text: string): void {
    if (this.isStream && this.text === HEAD_END) {
      this.onLines(text);
      return;
    }
    this.text += text;
    const headEnd = this.text.indexOf(HEAD_END);
    if (headEnd < 0) return;
    const head = this.text.slice(0, headEnd).toLowerCase();
    const bodyAt = headEnd + HEAD_END.length;
    const status = Number(head.slice(9, 12));
    const body = this.text.slice(bodyAt);
    if (this.isStream) {
      this.text = HEAD_END;
      this.onAnswer(status, '');
      if (body !== '') this.onLines(body);
      return;
    }
    const length = /content-length: *(\d+)/.exec(head)?.[1];
    const isWhole =
      length === undefined ? body === LAST_CHUNK || body.endsWith(`\r\n${LAST_CHUNK}`) : body.length >= Number(length);
    if (!isWhole) return;
    this.text = '';
    this.onAnswer(status, body);
  }
}
