import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import { extname, join, relative, sep } from 'node:path';
import { AtollError, errorMessage } from '@atoll/base';
import type { Exchange } from '@atoll/http';

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css; charset=utf-8',
  '.html': 'text/html; charset=utf-8',
  '.ico': 'image/x-icon',
  '.js': 'text/javascript; charset=utf-8',
  '.json': 'application/json',
  '.png': 'image/png',
  '.svg': 'image/svg+xml',
  '.txt': 'text/plain; charset=utf-8',
  '.wasm': 'application/wasm',
  '.webmanifest': 'application/manifest+json',
  '.woff2': 'font/woff2',
};
/** Files whose names change with their content: browsers need never ask for them again. */
const IMMUTABLE = /^\/(?:.*\/)?(?:assets|immutable)\/[^/]*[.-][\w-]{8,}\.\w+$/;
const YEAR_SECONDS = 31_536_000;
const PLACEHOLDER =
  '<!doctype html><html lang="en"><meta charset="utf-8"><title>Atoll</title><p>This hub runs without its page. <a href="/api/join">What to enter in a Jami app</a></p></html>\n';

interface File {
  readonly type: string;
  readonly etag: string;
  readonly body: Buffer;
  br?: Buffer;
  gzip?: Buffer;
}

/** The files of the page, in memory, with what was compressed beforehand (`x.js.br`, `x.js.gz`). */
export class StaticFiles {
  private readonly files: ReadonlyMap<string, File>;

  private constructor(files: ReadonlyMap<string, File>) {
    this.files = files;
  }

  /** Reads a folder with an `index.html`; without a folder there is a placeholder. Fails with `PORTAL_FILES_UNREADABLE`. */
  static async read(folder: string | undefined): Promise<StaticFiles> {
    const files = new Map<string, File>();
    if (folder === undefined) {
      files.set('/index.html', fileOf('/index.html', Buffer.from(PLACEHOLDER)));
      return new StaticFiles(files);
    }
    try {
      const entries = await readdir(folder, { recursive: true, withFileTypes: true });
      const paths = entries.filter((entry) => entry.isFile()).map((entry) => join(entry.parentPath, entry.name));
      // Compressed ones come behind the file that they belong to.
      for (const path of paths.sort()) {
        const name = `/${relative(folder, path).split(sep).join('/')}`;
        const body = await readFile(path);
        const encoding = { '.br': 'br', '.gz': 'gzip' }[extname(name)] as 'br' | 'gzip' | undefined;
        const plain = encoding === undefined ? undefined : files.get(name.slice(0, name.lastIndexOf('.')));
        if (encoding !== undefined && plain !== undefined) plain[encoding] = body;
        else files.set(name, fileOf(name, body));
      }
      if (!files.has('/index.html')) throw new Error('it has no index.html');
      return new StaticFiles(files);
    } catch (cause) {
      throw new AtollError('PORTAL_FILES_UNREADABLE', `The page in ${folder} cannot be read: ${errorMessage(cause)}`, {
        cause,
      });
    }
  }

  has(path: string): boolean {
    return this.files.has(path);
  }

  /** Answers with a file, or 304 where the client has it; false when there is none of this path. */
  send(exchange: Exchange, path: string): boolean {
    const file = this.files.get(path);
    if (file === undefined) return false;
    const caching = IMMUTABLE.test(path) ? `public, max-age=${YEAR_SECONDS}, immutable` : 'no-cache';
    const headers = ['ETag', file.etag, 'Cache-Control', caching, 'Vary', 'Accept-Encoding'];
    const { headers: asked } = exchange.request;
    const known = (asked['if-none-match'] ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));
    if (known.includes(file.etag) || known.includes('*')) {
      exchange.sendNothing(304, headers);
      return true;
    }
    const accepted = String(asked['accept-encoding'] ?? '')
      .split(',')
      .filter((entry) => !/;\s*q=0(\.0*)?\s*$/.test(entry))
      .map((entry) => entry.split(';')[0]?.trim());
    const encoding = (['br', 'gzip'] as const).find((name) => file[name] !== undefined && accepted.includes(name));
    const body = (encoding === undefined ? undefined : file[encoding]) ?? file.body;
    exchange.send(200, file.type, body, encoding === undefined ? headers : [...headers, 'Content-Encoding', encoding]);
    return true;
  }
}

function fileOf(name: string, body: Buffer): File {
  const etag = `"${createHash('sha256').update(body).digest('base64url').slice(0, 22)}"`;
  return { type: TYPES[extname(name)] ?? 'application/octet-stream', etag, body };
}
