import { lookup } from 'node:dns/promises';
import { readFile, stat } from 'node:fs/promises';
import { isIP } from 'node:net';
import { join } from 'node:path';
import { errorMessage, splitHostPort, UsageError } from '@atoll/base';
import { DEFAULT_PORT, decodeDhtAnnouncement } from '@atoll/dht';
import { AcmeStore } from '../acme/acme-store.js';
import type { HubConfiguration } from '../configuration.js';
import { hubProcess, runningFacts } from '../running-file.js';
import { askDiscovery, DISCOVERY_GROUP } from './checks/check-multicast.js';
import { askHttp } from './probes/ask-http.js';
import { bracketed, type DoctorTarget, type LocalTarget, type ServicePort, type TurnTarget } from './target.js';

const DISCOVERY_MS = 1500;
const JOIN_MS = 1500;
/** Where a hub's services are when nothing else is said. */
const USUAL = { proxy: 8080, names: 8000, turn: 3478, portal: 8088 } as const;

/** How a person says which hub to look at. */
export interface TargetWish {
  /** The settings of the hub that would run here. */
  readonly configuration: HubConfiguration;
  readonly readyFile?: string | undefined;
  /** Address or name of the hub. */
  readonly hub?: string | undefined;
  /** Given by hand; weighs more than what the hub says. */
  readonly turn?: Partial<TurnTarget> | undefined;
}

/**
 * The hub to look at: the one named by a ready file or by its address, else that of this machine's state directory, else
 * one that answers to local discovery. Undefined when there is none. Throws a usage error for what cannot be read.
 */
export async function findTarget(wish: TargetWish): Promise<DoctorTarget | undefined> {
  const { configuration, readyFile, hub, turn } = wish;
  const found =
    readyFile !== undefined
      ? await fromReadyFile(readyFile)
      : hub !== undefined
        ? await fromName(hub, configuration.network)
        : ((await localTarget(configuration)) ?? (await fromDiscovery(configuration.network)));
  if (found === undefined || turn === undefined) return found;
  return { ...found, turn: { port: USUAL.turn, ...found.turn, ...turn } };
}

/** The hub of the state directory, running or not; undefined when no hub was ever started on it. */
export async function localTarget(configuration: HubConfiguration): Promise<DoctorTarget | undefined> {
  const { state, bootstrap, certificate, privateKey, acmeDomain: acmeNames } = configuration;
  const isThere = await stat(join(state, 'dht-node')).catch(() => undefined);
  const pid = await hubProcess(state);
  if (isThere === undefined && pid === undefined) return undefined;
  const ready = await runningFacts(state);
  const facts = isObject(ready) ? targetOf(ready) : undefined;
  const attempts = acmeNames.length === 0 ? undefined : await new AcmeStore(state).attempts();
  const local: LocalTarget = {
    statePath: state,
    pid,
    certificate,
    privateKey,
    acmeNames,
    acmeProblem: attempts?.message,
    ports: portsOf(configuration, facts),
  };
  if (facts !== undefined) return { ...facts, bootstrap: bootstrapIn(ready) ?? bootstrap, local };
  return { host: '127.0.0.1', addresses: [], isAssumed: true, bootstrap, local };
}

/** Reads what `atoll up --ready-file` wrote. */
async function fromReadyFile(path: string): Promise<DoctorTarget> {
  let ready: unknown;
  try {
    ready = await readJson(path);
  } catch (cause) {
    throw new UsageError(`The ready file ${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
  const target = isObject(ready) ? targetOf(ready) : undefined;
  if (target === undefined) throw new UsageError(`${path} is no ready file: it does not say where the DHT is.`);
  return target;
}

/** A hub by address or name: what its page says, else where services usually are. */
async function fromName(hub: string, network: number): Promise<DoctorTarget> {
  const { host: name, port = DEFAULT_PORT } = splitHostPort(hub);
  if (name === '' || Number.isNaN(port)) throw new UsageError(`“${hub}” is no address; write host or host:port.`);
  if (isIP(name) !== 0) return fromPage(name, network, port);
  const found = await lookup(name).catch(() => undefined);
  // The check of DNS says why a name leads nowhere.
  if (found === undefined) return { host: '', name, addresses: [], isAssumed: true, bootstrap: [] };
  return { ...(await fromPage(found.address, network, port)), name };
}

async function fromDiscovery(network: number): Promise<DoctorTarget | undefined> {
  const found = await askDiscovery(DISCOVERY_GROUP, DISCOVERY_MS, (hosts) => hosts.size > 0);
  for (const [host, services] of found) {
    const announced = services.get('dht');
    const dht = announced === undefined ? undefined : decodeDhtAnnouncement(announced);
    if (dht !== undefined && dht.networkId === network) return fromPage(host, network, dht.port);
  }
  return undefined;
}

/** What the hub's page says to everyone; services in their usual places where there is no page. */
async function fromPage(host: string, network: number, port: number): Promise<DoctorTarget> {
  const at = bracketed(host);
  const answer = await askHttp(`http://${at}:${USUAL.portal}/api/join`, { limitMs: JOIN_MS });
  const basic = { host, addresses: [], bootstrap: [], dht: { port, network } };
  if (typeof answer !== 'string' && answer.status === 200) {
    const said = parseObject(answer.body);
    const { proxy, nameServer, turn } = said;
    const turnAt = isObject(turn) && typeof turn.server === 'string' ? splitHostPort(turn.server).port : undefined;
    if (typeof said.bootstrap === 'string') {
      return {
        ...basic,
        isAssumed: false,
        ...(typeof proxy === 'string' ? { proxy: [proxy] } : {}),
        ...(typeof nameServer === 'string' ? { names: [nameServer] } : {}),
        ...(isObject(turn) ? { turn: turnOf({ ...turn, port: turnAt ?? USUAL.turn }) } : {}),
      };
    }
  }
  return {
    ...basic,
    isAssumed: true,
    proxy: [`http://${at}:${USUAL.proxy}`],
    names: [`http://${at}:${USUAL.names}`],
    turn: { port: USUAL.turn },
  };
}

/** The target that ready facts describe. */
function targetOf(ready: Readonly<Record<string, unknown>>): DoctorTarget | undefined {
  const { dht, proxy, names, turn } = ready;
  if (!isObject(dht) || typeof dht.bootstrap !== 'string') return undefined;
  const { host, port = DEFAULT_PORT } = splitHostPort(dht.bootstrap);
  const all = Array.isArray(dht.addresses) ? dht.addresses : [dht.bootstrap];
  const addresses = all.filter((each) => typeof each === 'string').map((each) => splitHostPort(each).host);
  return {
    host,
    addresses,
    isAssumed: false,
    bootstrap: [],
    dht: { port, network: typeof dht.network === 'number' ? dht.network : 0 },
    ...(isObject(proxy) ? { proxy: urlsOf(proxy) } : {}),
    ...(isObject(names) ? { names: urlsOf(names) } : {}),
    ...(isObject(turn) ? { turn: turnOf(turn) } : {}),
  };
}

function urlsOf({ url, urlTls }: Readonly<Record<string, unknown>>): string[] {
  return [url, urlTls].filter((each) => typeof each === 'string');
}

function turnOf(turn: Readonly<Record<string, unknown>>): TurnTarget {
  const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);
  const number = (value: unknown): number | undefined => (typeof value === 'number' ? value : undefined);
  return {
    port: number(turn.port) ?? USUAL.turn,
    tlsPort: number(turn.tlsPort),
    user: text(turn.user),
    password: text(turn.password),
    realm: text(turn.realm),
  };
}

function portsOf(configuration: HubConfiguration, facts: DoctorTarget | undefined): ServicePort[] {
  const { proxy, names, turn, dhtPort, proxyPort, namesPort, turnPort } = configuration;
  const port = (url: string | undefined, fallback: number): number =>
    url === undefined ? fallback : Number(new URL(url).port);
  const all: (ServicePort & { readonly isWanted: boolean })[] = [
    { isWanted: true, service: 'dht', setting: 'dht-port', transport: 'UDP', port: facts?.dht?.port ?? dhtPort },
    {
      isWanted: proxy,
      service: 'proxy',
      setting: 'proxy-port',
      transport: 'TCP',
      port: port(facts?.proxy?.[0], proxyPort),
    },
    {
      isWanted: names,
      service: 'names',
      setting: 'names-port',
      transport: 'TCP',
      port: port(facts?.names?.[0], namesPort),
    },
    { isWanted: turn, service: 'turn', setting: 'turn-port', transport: 'UDP', port: facts?.turn?.port ?? turnPort },
    { isWanted: turn, service: 'turn', setting: 'turn-port', transport: 'TCP', port: facts?.turn?.port ?? turnPort },
  ];
  return all.filter(({ isWanted, port: number }) => isWanted && number !== 0).map(({ isWanted: _, ...rest }) => rest);
}

function bootstrapIn(running: unknown): readonly string[] | undefined {
  const given = isObject(running) ? running.bootstrap : undefined;
  return Array.isArray(given) ? given.filter((each) => typeof each === 'string') : undefined;
}

async function readJson(path: string): Promise<unknown> {
  return JSON.parse(await readFile(path, 'utf8')) as unknown;
}

function parseObject(text: string): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text);
    return isObject(parsed) ? parsed : {};
  } catch {
    return {};
  }
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
