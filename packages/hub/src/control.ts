import { randomBytes, timingSafeEqual } from 'node:crypto';
import { readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import { HttpError, HttpServer, Router } from '@atoll/http';
import type { CertificateFacts, Figures, JoinFacts, ServiceFacts } from './portal/api.js';
import type { ReadyFacts } from './ready-facts.js';
import { CONTROL_FILE, type StateDirectory, writeAtomically } from './state-directory.js';

const TOKEN_BYTES = 24;
const ANSWER_LIMIT_MS = 15_000;

/** What `atoll status` shows. */
export interface StatusFacts extends Partial<ReadyFacts> {
  readonly services: readonly ServiceFacts[];
  readonly figures: Figures;
  /** What is shown over TLS. */
  readonly certificate?: CertificateFacts;
  /** Opens the operator's page once; there while no password is set. */
  readonly operatorLink?: string;
}

export interface ControlAnswers {
  readonly join: () => JoinFacts;
  readonly status: () => Promise<StatusFacts>;
}

/**
 * How commands of the same user reach a running hub: a port of the loopback and a secret, both in a file of the state
 * directory that only its owner reads. (A socket file would do where paths are short; state directories need not be.)
 */
export class ControlServer {
  private readonly server: HttpServer;
  private readonly path: string;

  private constructor(server: HttpServer, path: string) {
    this.server = server;
    this.path = path;
  }

  static async open(state: StateDirectory, answers: ControlAnswers): Promise<ControlServer> {
    const token = randomBytes(TOKEN_BYTES).toString('base64url');
    const secret = Buffer.from(`Bearer ${token}`);
    const router = new Router()
      .on('GET', '/join', (exchange) => exchange.sendJson(200, answers.join()))
      .on('GET', '/status', async (exchange) => exchange.sendJson(200, await answers.status()));
    const server = await HttpServer.open(
      { router },
      {
        name: 'control',
        listen: [{ hosts: ['127.0.0.1'], port: 0 }],
        admit: ({ request }) => {
          const given = Buffer.from(request.headers.authorization ?? '');
          if (given.length === secret.length && timingSafeEqual(given, secret)) return [];
          throw new HttpError(401, 'HUB_CONTROL_REFUSED', 'Only the owner of the state directory may ask here.');
        },
      },
    );
    const path = state.file(CONTROL_FILE);
    await writeAtomically(path, `${JSON.stringify({ port: server.port(), token })}\n`);
    return new ControlServer(server, path);
  }

  async close(): Promise<void> {
    await rm(this.path, { force: true });
    await this.server.close();
  }
}

/**
 * Asks the hub that runs on a state directory. Fails with `HUB_NOT_RUNNING` when none does, or `HUB_CONTROL_UNUSABLE`
 * when it cannot be asked.
 */
export async function askHub<K extends keyof ControlAnswers>(
  stateDirectory: string,
  what: K,
): Promise<Awaited<ReturnType<ControlAnswers[K]>>> {
  const path = join(stateDirectory, CONTROL_FILE);
  let answer: Response;
  let body: string;
  try {
    const { port, token } = JSON.parse(await readFile(path, 'utf8')) as { port: number; token: string };
    answer = await fetch(`http://127.0.0.1:${Number(port)}/${what}`, {
      headers: { authorization: `Bearer ${token}` },
      signal: AbortSignal.timeout(ANSWER_LIMIT_MS),
    });
    body = await answer.text();
  } catch (cause) {
    const reason = errorCode(cause instanceof TypeError ? cause.cause : cause);
    if (reason === 'ENOENT' || reason === 'ECONNREFUSED') {
      throw new AtollError(
        'HUB_NOT_RUNNING',
        `No hub runs on the state directory ${stateDirectory}; start one with “atoll up”, or name another with --state.`,
        { cause },
      );
    }
    throw unusable(path, errorMessage(cause), cause);
  }
  if (answer.status !== 200) throw unusable(path, `it answers ${answer.status}`);
  return JSON.parse(body) as Awaited<ReturnType<ControlAnswers[K]>>;
}

function unusable(path: string, why: string, cause?: unknown): AtollError {
  return new AtollError('HUB_CONTROL_UNUSABLE', `The hub cannot be asked by ${path}: ${why}.`, { cause });
}
