import { X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { AtollError, errorMessage, type Logger } from '@atoll/base';
import { HttpServer, Router } from '@atoll/http';
import type { HubConfiguration } from '../configuration.js';
import type { AcmeFacts } from '../portal/api.js';
import { AcmeClient } from './acme-client.js';
import { AcmeRenewal } from './acme-renewal.js';
import { AcmeStore } from './acme-store.js';
import { askOverHttps } from './ask-directory.js';
import { ChallengeAnswers } from './challenge-answers.js';

/** Asked only where `acme-domain` is set and `acme-directory` is not. */
const LETS_ENCRYPT = 'https://acme-v02.api.letsencrypt.org/directory';
/** Directories look from a handful of places at once. */
const MAX_CONNECTIONS = 64;

export interface AcmeComponents {
  readonly stateDirectory: string;
  readonly logger: Logger;
  readonly unixMs: () => number;
  readonly nowMs: () => number;
  readonly wait: (ms: number, signal: AbortSignal) => Promise<void>;
  /** Takes up a new certificate, which lies in the state directory. */
  readonly onIssued: () => Promise<void>;
}

/** Everything that gets the hub a certificate from an ACME directory: account, challenges, renewal. */
export class Acme {
  /** For the portal, where it has the port at which directories ask. */
  readonly answers: ChallengeAnswers;
  private readonly renewal: AcmeRenewal;
  private readonly server: HttpServer | undefined;

  private constructor(answers: ChallengeAnswers, renewal: AcmeRenewal, server: HttpServer | undefined) {
    this.answers = answers;
    this.renewal = renewal;
    this.server = server;
  }

  /**
   * Opens the port of challenges; nothing is asked before {@link start}. Undefined where no name is set. Fails where the
   * port cannot be had, or with `ACME_AUTHORITY_UNUSABLE`.
   */
  static async open(parts: AcmeComponents, configuration: HubConfiguration): Promise<Acme | undefined> {
    const { acmeDomain: names, acmeEmail: email, acmePort: port, host, portal, portalPort } = configuration;
    const { acmeDirectory: directory = LETS_ENCRYPT } = configuration;
    if (names.length === 0) return undefined;
    const ask = askOverHttps(await authoritiesIn(configuration.acmeAuthority));
    const store = new AcmeStore(parts.stateDirectory);
    const answers = new ChallengeAnswers();
    const publish = answers.publish.bind(answers);
    const accountKey = await store.accountKey(directory);
    const client = new AcmeClient({ ...parts, ask, accountKey, publish }, { directory, email });
    const renewal = new AcmeRenewal({ ...parts, store, client }, { directory, names });
    if (portal && portalPort === port) return new Acme(answers, renewal, undefined);
    const server = await HttpServer.open(
      { router: answers.addTo(new Router()), logger: parts.logger },
      { name: 'acme', listen: [{ hosts: host, port }], maxConnections: MAX_CONNECTIONS },
    );
    return new Acme(answers, renewal, server);
  }

  /** Begins to ask, in the background. */
  start(): Promise<void> {
    return this.renewal.start();
  }

  get facts(): AcmeFacts {
    return this.renewal.facts;
  }

  async close(): Promise<void> {
    await this.renewal.stop();
    await this.server?.close();
  }
}

async function authoritiesIn(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    const pem = await readFile(path, 'utf8');
    new X509Certificate(pem);
    return pem;
  } catch (cause) {
    throw new AtollError(
      'ACME_AUTHORITY_UNUSABLE',
      `The file ${path} of the setting acme-authority cannot be used: ${errorMessage(cause)}.`,
      { cause },
    );
  }
}
