import { readFile } from 'node:fs/promises';
import { AtollError, errorMessage, type Logger, UsageError } from '@atoll/base';
import { NameServer, type NameStore, openNameStore } from '@atoll/name-server';
import type { HubCertificate } from './authority/hub-certificate.js';
import type { HubConfiguration } from './configuration.js';
import type { HubService } from './supervisor.js';

const PROBE_LIMIT_MS = 10_000;

export interface NamesServiceComponents {
  readonly logger: Logger;
  /** What it shows over TLS; without one there is no TLS. */
  readonly certificate: HubCertificate | undefined;
}

/** The hub's name server: user names instead of 40 digits. */
export class NamesService implements HubService {
  readonly name = 'names';
  readonly failed: Promise<never> = new Promise(() => {});
  private readonly configuration: HubConfiguration;
  private readonly storePath: string;
  private readonly addresses: readonly string[];
  private readonly parts: NamesServiceComponents;
  private unsubscribe: (() => void) | undefined;
  /** The names while it runs. */
  store: NameStore | undefined;
  private server: NameServer | undefined;

  /** `storePath`: the file of names when no database is named; `addresses`: what people are told, the first one first. */
  constructor(
    parts: NamesServiceComponents,
    configuration: HubConfiguration,
    storePath: string,
    addresses: readonly string[],
  ) {
    this.parts = parts;
    this.configuration = configuration;
    this.storePath = storePath;
    this.addresses = addresses;
  }

  async start(): Promise<Readonly<Record<string, unknown>>> {
    const settings = this.configuration;
    const { host, namesPort, namesTlsPort, namesUpstream } = settings;
    const { certificate, logger } = this.parts;
    const password = await passwordOf(settings.namesStorePasswordFile);
    this.store = await openNameStore(settings.namesStore ?? this.storePath, password);
    const secure =
      certificate === undefined ? [] : [{ hosts: host, port: namesTlsPort, certificate: certificate.current() }];
    const server = await NameServer.open(
      { store: this.store, logger },
      {
        listen: [{ hosts: host, port: namesPort }, ...secure],
        upstream: namesUpstream === undefined ? undefined : { server: namesUpstream },
        needsApproval: settings.namesApproval,
        refusesLookAlikes: !settings.namesLookAlikes,
        allowsUnicode: settings.namesUnicode,
        rates: {
          lookups: settings.namesLookupRate,
          lookupsInAll: settings.namesLookupRateInAll,
          registrations: settings.namesRegistrationRate,
          registrationsInAll: settings.namesRegistrationRateInAll,
        },
        http: { trustedProxies: settings.namesTrustedProxies },
      },
    );
    this.server = server;
    this.unsubscribe = certificate?.onChange(() => void server.reloadCertificates());
    const url = this.url(false);
    const urlTls = this.url(true);
    return { ...(url === undefined ? {} : { url }), ...(urlTls === undefined ? {} : { urlTls }) };
  }

  /** Its health route answers, which reads the store. */
  async probe(): Promise<void> {
    const listening = this.server?.addresses.find(({ isSecure }) => !isSecure);
    if (listening === undefined) throw new AtollError('NAMES_NOT_RUNNING', 'The name server is not running.');
    const host = listening.host === '::' || listening.host === '0.0.0.0' ? '127.0.0.1' : listening.host;
    const url = `http://${bracketed(host)}:${listening.port}/health`;
    const answer = await fetch(url, { signal: AbortSignal.timeout(PROBE_LIMIT_MS) });
    const body = await answer.text();
    if (answer.status !== 200) {
      throw new AtollError('NAMES_NOT_WELL', `The name server says that it is not well: ${body.slice(0, 200)}`);
    }
  }

  /** When a client address was heard last, ms of `performance.now()`. */
  heardMs(address: string): number | undefined {
    return this.server?.heardMs(address);
  }

  get traffic(): { readonly inBytes: number; readonly outBytes: number } | undefined {
    return this.server?.traffic;
  }

  async stop(): Promise<void> {
    this.unsubscribe?.();
    await this.server?.close();
    await this.store?.close();
    this.server = undefined;
    this.store = undefined;
  }

  private url(isSecure: boolean): string | undefined {
    const port = this.server?.addresses.find((address) => address.isSecure === isSecure)?.port;
    const address = this.addresses[0] ?? '127.0.0.1';
    return port === undefined ? undefined : `${isSecure ? 'https' : 'http'}://${bracketed(address)}:${port}`;
  }
}

function bracketed(address: string): string {
  return address.includes(':') ? `[${address}]` : address;
}

async function passwordOf(path: string | undefined): Promise<string | undefined> {
  if (path === undefined) return undefined;
  try {
    return (await readFile(path, 'utf8')).split('\n')[0];
  } catch (cause) {
    throw new UsageError(`The password file ${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}
