import { existsSync, mkdirSync } from 'node:fs';
import { dirname } from 'node:path';
import { errorMessage, type Logger, systemClock, UsageError } from '@atoll/base';
import {
  type AddressRange,
  type FindReservation,
  normalizedOrigin,
  type QuotaChange,
  type RealmOptions,
  TurnDatabase,
  TurnServer,
  type TurnServerOptions,
  Users,
} from '@atoll/turn';
import type { TurnConfiguration } from './configuration.js';
import { ownCertificate } from './own-certificate.js';

/** How often realms and peers are read from the user store, ms. */
const STORE_MS = 5000;

/** A server with its user store. */
export interface OpenServer {
  readonly server: TurnServer;
  /** Reads realms and ranges of peers from the user store now, as is done every few seconds. */
  refresh(): Promise<void>;
  close(): Promise<void>;
}

/** What one of several processes does otherwise. */
export interface WorkerOptions {
  readonly server: Partial<TurnServerOptions>;
  readonly onQuotaChange: (change: QuotaChange) => void;
  readonly findReservation: FindReservation;
}

/** Opens store and listeners, or nothing: throws with a sentence about what cannot be opened. */
export async function openServer(
  configuration: TurnConfiguration,
  logger: Logger,
  worker?: WorkerOptions,
): Promise<OpenServer> {
  const database = await openStore(configuration);
  try {
    const users = new Users(
      { clock: systemClock, database },
      {
        realm: configuration.server.realm,
        users: configuration.users,
        usesSecrets: configuration.usesSecrets,
        secrets: configuration.secrets,
        separator: configuration.separator,
      },
    );
    const certificate = configuration.wantsTls ? (configuration.certificate ?? (await ownCertificate())) : undefined;
    const rules = await readRules(configuration, database);
    const { allowedPeers, deniedPeers } = rules;
    const { server: own, ...shared } = worker ?? {};
    const server = await TurnServer.open(
      { logger, credentials: users, ...shared },
      { ...configuration.server, ...own, certificate, allowedPeers, deniedPeers },
    );
    applyRules(server, rules);
    if (server.listeners.length === 0) {
      await server.close();
      throw new UsageError(
        'Every listener is switched off (no-udp, no-tcp, no-tls, no-dtls): there is nothing to serve.',
      );
    }
    let isReading = false;
    const refresh = async (): Promise<void> => {
      if (isReading) return;
      isReading = true;
      try {
        applyRules(server, await readRules(configuration, database));
      } catch (error) {
        logger.error(`The user store ${nameOfStore(configuration)} cannot be read: ${errorMessage(error)}`);
      }
      isReading = false;
    };
    const timer = setInterval(refresh, STORE_MS);
    return {
      server,
      refresh,
      async close() {
        clearInterval(timer);
        await server.close();
        await database?.close();
      },
    };
  } catch (error) {
    await database?.close();
    throw error;
  }
}

/** The user store; none where every user stands in the configuration and no store is there. */
export async function openStore(configuration: TurnConfiguration): Promise<TurnDatabase | undefined> {
  const { userdb, psqlUserdb, isUserdbNamed, users, secrets, server } = configuration;
  if (psqlUserdb !== undefined) return TurnDatabase.openPostgres(psqlUserdb);
  const needsNone = users.length > 0 || secrets.length > 0 || server.behavior.isOpen === true;
  if (!isUserdbNamed && needsNone && !existsSync(userdb)) return undefined;
  if (!isUserdbNamed) mkdirSync(dirname(userdb), { recursive: true, mode: 0o700 });
  return TurnDatabase.openFile(userdb);
}

/** The user store as sentences name it. */
export function nameOfStore({ userdb, psqlUserdb }: TurnConfiguration): string {
  return psqlUserdb === undefined ? userdb : 'PostgreSQL';
}

/** What the user store says about realms and peers beside the configuration. */
interface StoredRules {
  readonly origins: ReadonlyMap<string, string>;
  readonly realmOptions: ReadonlyMap<string, Partial<RealmOptions>>;
  readonly allowedPeers: readonly AddressRange[];
  readonly deniedPeers: readonly AddressRange[];
}

async function readRules(configuration: TurnConfiguration, database: TurnDatabase | undefined): Promise<StoredRules> {
  const { server, readsRealmsFromStore, readsPeersFromStore } = configuration;
  const realms = readsRealmsFromStore ? database : undefined;
  const peers = readsPeersFromStore ? database : undefined;
  const [origins, realmOptions, allowed, denied] = await Promise.all([
    realms?.origins() ?? [],
    realms?.realmOptions() ?? new Map(),
    peers?.peerRanges('allowed') ?? [],
    peers?.peerRanges('denied') ?? [],
  ]);
  return {
    origins: new Map([...origins].map(([origin, realm]) => [normalizedOrigin(origin), realm])),
    realmOptions,
    allowedPeers: [...server.allowedPeers, ...allowed],
    deniedPeers: [...server.deniedPeers, ...denied],
  };
}

function applyRules(server: TurnServer, { origins, realmOptions, allowedPeers, deniedPeers }: StoredRules): void {
  server.realms.set(origins, realmOptions);
  server.peerRules.setRanges(allowedPeers, deniedPeers);
}
