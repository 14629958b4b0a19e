import { rm } from 'node:fs/promises';
import { UsageError } from '@atoll/base';
import { jsonLogger, SETTINGS, textLogger, writeAtomically } from '@atoll/hub';
import { type NameRates, NameServer } from '@atoll/name-server';
import { messagesFor } from '../messages/locale.js';
import { stopSignal } from '../stop-signal.js';
import { VERSION } from '../version.js';
import { type StoreOptions, withStore } from './store-options.js';

export interface ServeOptions extends StoreOptions {
  readonly host?: string;
  readonly port: string;
  readonly tlsPort: string;
  readonly certificate?: string;
  readonly privateKey?: string;
  readonly basePath?: string;
  readonly upstream?: string;
  readonly approval?: boolean;
  readonly allowLookAlikes?: boolean;
  readonly unicode?: boolean;
  readonly readOnly?: boolean;
  readonly trustedProxies?: string;
  readonly lookupRate: string;
  readonly lookupRateInAll: string;
  readonly registrationRate: string;
  readonly registrationRateInAll: string;
  readonly readyFile?: string;
  readonly json?: boolean;
}

/** `atoll names serve`: a name server alone, in the foreground. */
export async function serve(options: ServeOptions): Promise<void> {
  const { certificate, privateKey, readyFile, upstream } = options;
  if ((certificate === undefined) !== (privateKey === undefined)) {
    throw new UsageError('--certificate and --private-key belong together: name both files.');
  }
  const hosts = listOf(options.host);
  const logger = options.json ? jsonLogger(process.stdout) : textLogger(process.stderr);
  const messages = messagesFor(process.env);
  const stopped = stopSignal();
  const plain = { hosts, port: port('--port', options.port) };
  const tlsPort = port('--tls-port', options.tlsPort);
  const secure =
    certificate === undefined || privateKey === undefined
      ? []
      : [{ hosts, port: tlsPort, certificate: { certificate, privateKey } }];
  await withStore(options, async (store) => {
    const server = await NameServer.open(
      { store, logger },
      {
        listen: [plain, ...secure],
        basePath: options.basePath ?? '',
        upstream: upstream === undefined ? undefined : { server: upstream },
        needsApproval: options.approval ?? false,
        refusesLookAlikes: !(options.allowLookAlikes ?? false),
        allowsUnicode: options.unicode ?? false,
        isReadOnly: options.readOnly ?? false,
        rates: rates(options),
        http: { trustedProxies: listOf(options.trustedProxies) },
      },
    );
    try {
      const urls = server.addresses.map(({ host, port: bound, isSecure }) => {
        const shown = host === '::' || host === '0.0.0.0' ? 'localhost' : host;
        return `${isSecure ? 'https' : 'http'}://${shown.includes(':') ? `[${shown}]` : shown}:${bound}${options.basePath ?? ''}`;
      });
      const [url] = urls;
      const urlTls = urls.find((one) => one.startsWith('https:'));
      const ready = { version: VERSION, names: { url, ...(urlTls === undefined ? {} : { urlTls }) } };
      if (readyFile !== undefined) await writeAtomically(readyFile, `${JSON.stringify(ready, undefined, 2)}\n`);
      if (options.json) logger.info('ready', ready);
      else process.stdout.write(`${messages.namesLabel}: ${urls.join(', ')}\n${messages.howToStop}\n`);
      await stopped;
      if (!options.json) process.stderr.write(`${messages.stopping}\n`);
    } finally {
      if (readyFile !== undefined) await rm(readyFile, { force: true });
      await server.close();
    }
  });
}

/** Port of the name server when none is given. */
export const DEFAULT_PORT = String(SETTINGS.namesPort.fallback);
export const DEFAULT_TLS_PORT = String(SETTINGS.namesTlsPort.fallback);

function rates(options: ServeOptions): NameRates {
  return {
    lookups: rate('--lookup-rate', options.lookupRate),
    lookupsInAll: rate('--lookup-rate-in-all', options.lookupRateInAll),
    registrations: rate('--registration-rate', options.registrationRate),
    registrationsInAll: rate('--registration-rate-in-all', options.registrationRateInAll),
  };
}

function rate(flag: string, text: string): number {
  if (/^\d+(\.\d+)?$/.test(text) && Number(text) > 0) return Number(text);
  throw new UsageError(`${flag} takes a number above 0, not “${text}”.`);
}

function port(flag: string, text: string): number {
  if (/^\d{1,5}$/.test(text) && Number(text) <= 65_535) return Number(text);
  throw new UsageError(`${flag} takes a number from 0 to 65535, not “${text}”.`);
}

function listOf(text: string | undefined): string[] {
  return (text ?? '')
    .split(',')
    .map((one) => one.trim())
    .filter((one) => one !== '');
}
