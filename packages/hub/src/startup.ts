import { rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { setTimeout as sleep } from 'node:timers/promises';
import { AtollError, type Logger, UsageError } from '@atoll/base';
import { toName } from '@atoll/name-server';
import { Acme } from './acme/acme.js';
import { Authority } from './authority/authority.js';
import { HubCertificate } from './authority/hub-certificate.js';
import { stageRestore } from './backup/restore.js';
import { backUpState } from './backup/state-backup.js';
import { type HubConfiguration, PORTAL_SETTINGS } from './configuration.js';
import { ControlServer } from './control.js';
import { DhtService } from './dht-service.js';
import { examine } from './doctor/examine.js';
import { localTarget } from './doctor/find-target.js';
import { whyPartsOf } from './doctor/why/find-person.js';
import { why } from './doctor/why/why.js';
import { openPorts } from './firewall/open-ports.js';
import { lanAddresses } from './lan-addresses.js';
import { Mdns } from './mdns/mdns.js';
import { Measure, type ServicesNow } from './measure.js';
import { NamesService } from './names-service.js';
import { PortMapService } from './port-map-service.js';
import type { JoinFacts } from './portal/api.js';
import { FigureHistory } from './portal/history.js';
import { type JoinComponents, joinFacts, secureUrl } from './portal/join.js';
import { LogRing } from './portal/log-ring.js';
import { certificateFacts, type PortalComponents } from './portal/portal.js';
import { PortalService } from './portal/portal-service.js';
import { Sessions } from './portal/sessions.js';
import { ProxyService } from './proxy-service.js';
import type { ReadyFacts } from './ready-facts.js';
import { RUNNING_FILE } from './running-file.js';
import { ServiceSet } from './service-set.js';
import { SettingsFile } from './settings-file.js';
import { StateDirectory, writeAtomically } from './state-directory.js';
import { TurnService, USER } from './turn-service.js';
import { TurnUsers } from './turn-users.js';

/** A hub that runs. */
export interface RunningHub {
  readonly ready: ReadyFacts;
  /** What people enter in their apps. */
  join(): JoinFacts;
  /** A link that opens the operator's page once; undefined when there is a password, or no portal. */
  readonly operatorLink: string | undefined;
  /** Resolves when the operator has laid down a backup: the next start of the hub goes on from it. */
  readonly whenRestored: Promise<void>;
  stop(): Promise<void>;
}

export interface HubOptions {
  readonly version: string;
  /** Written once everything answers, removed at the stop. */
  readonly readyFile?: string | undefined;
  readonly logger: Logger;
  /** Services to run, by name; all that the configuration wants when left out. */
  readonly only?: readonly string[] | undefined;
  /** Settings that the portal cannot change. */
  readonly fixed?: ReadonlySet<string> | undefined;
  /** The files of the portal's page; a placeholder when left out. */
  readonly portalFiles?: string | undefined;
}

const unixMs = (): number => Date.now();
const nowMs = (): number => performance.now();

/** Starts every service of a hub, one after the other; if one cannot be brought up, nothing is left running. */
export async function startHub(configuration: HubConfiguration, options: HubOptions): Promise<RunningHub> {
  const { readyFile, version, only } = options;
  const log = new LogRing(unixMs);
  const logger = log.over(options.logger);
  const state = await StateDirectory.take(configuration.state);
  const closing: (() => Promise<void> | void)[] = [() => state.release()];
  const stop = async (): Promise<void> => {
    if (readyFile !== undefined) await rm(readyFile, { force: true });
    for (const close of closing.reverse()) await close();
  };
  try {
    const startedMs = unixMs();
    const addresses = (): string[] => (configuration.host.length > 0 ? [...configuration.host] : lanAddresses());
    const settings = await SettingsFile.open(state.file(PORTAL_SETTINGS), configuration, options.fixed ?? new Set());
    let mdns: Mdns | undefined;
    const names = (): string[] => [
      mdns?.host ?? 'atoll.local',
      hostname().toLowerCase(),
      ...configuration.portalNames,
      ...configuration.acmeDomain,
    ];
    const certificate = await openCertificate(configuration, {
      state,
      logger,
      names,
      addresses,
      isWhole: only === undefined,
    });
    if (certificate !== undefined) closing.push(() => certificate.close());
    const onIssued = async (): Promise<void> => certificate?.check();
    const acme = await Acme.open({ stateDirectory: state.path, logger, unixMs, nowMs, wait, onIssued }, configuration);
    if (acme !== undefined) closing.push(() => acme.close());
    const turnUsers = await TurnUsers.open(state.file('turn-users.json'));
    const sessions = new Sessions(state.file('portal-password.json'), unixMs);
    await sessions.restore();
    const history = new FigureHistory(state.file('history.json'), logger);
    await history.restore(unixMs());

    let restored = (): void => {};
    const whenRestored = new Promise<void>((resolve) => {
      restored = resolve;
    });
    let now: ServicesNow = {};
    const measure = new Measure(() => now, nowMs);
    const services = new ServiceSet({ logger, nowMs, unixMs, wait, settings });
    const join: JoinComponents = {
      version,
      name: () => String(settings.value('hubName') ?? hostname()),
      ready: () => services.facts,
      certificate,
      names,
      addresses,
    };
    const portal: PortalComponents = {
      stateDirectory: configuration.state,
      unixMs,
      nowMs,
      startedMs,
      join,
      measure,
      services: () => services.states(),
      switchService: (name, isOn) => services.switchService(name, isOn),
      probeAll: () => services.probeAll(),
      hubs: () => mdns?.hubs() ?? [],
      certificate,
      acme,
      turnUsers,
      ownTurnUser: USER,
      names: () => now.names?.store,
      toName: (text) => toName(text, { allowsUnicode: configuration.namesUnicode }),
      settings,
      log,
      bridge: () => now.dht?.bridged,
      doctor: async (language) => examine(await localTarget(configuration), { language }),
      why: async (of, to, language) => {
        const node = now.dht?.node;
        if (node === undefined) throw new AtollError('DHT_NOT_RUNNING', 'The DHT node is not running.');
        return why(of, to, whyPartsOf(node, services.facts.names?.url), language);
      },
      backup: () => backUpState(configuration.state),
      restore: async (file) => {
        await stageRestore(configuration.state, file);
        restored();
      },
    };

    services.add('dht', true, () => {
      const dht = new DhtService(configuration, state.file('dht-node'), addresses(), logger);
      now = { ...now, dht };
      return dht;
    });
    services.add('proxy', configuration.proxy, () => {
      const parts = { state, logger, node: () => now.dht?.node, certificate };
      const proxy = new ProxyService(parts, configuration, addresses());
      now = { ...now, proxy };
      return proxy;
    });
    services.add('names', configuration.names, () => {
      const service = new NamesService({ logger, certificate }, configuration, state.file('names.db'), addresses());
      now = { ...now, names: service };
      return service;
    });
    services.add('turn', configuration.turn, () => {
      const parts = {
        state,
        logger,
        users: turnUsers,
        certificate: certificate && (() => certificate.current()),
        addressesNow: configuration.host.length > 0 ? undefined : lanAddresses,
      };
      const turn = new TurnService(parts, configuration, addresses());
      now = { ...now, turn };
      return turn;
    });
    services.add(
      'portal',
      configuration.portal,
      () => new PortalService({ portal, sessions, history, logger }, configuration, options.portalFiles),
    );
    // The last one, because it maps what the others opened.
    services.add(
      'portMap',
      configuration.portMap,
      () => new PortMapService({ state, logger, ports: () => openPorts(configuration, services.facts) }),
    );
    closing.push(() => services.stop());
    await services.start(only);

    const ready = (): ReadyFacts => ({ version, ...services.facts }) as ReadyFacts;
    const link = (): string | undefined => {
      const { url, urlTls } = ready().portal ?? {};
      const secret = url === undefined ? undefined : sessions.linkSecret();
      const page = urlTls === undefined ? url : secureUrl(certificate, urlTls);
      return secret === undefined ? undefined : `${page}operator#link=${secret}`;
    };
    const control = await ControlServer.open(state, {
      join: () => joinFacts(join, false),
      status: async () => {
        const operatorLink = link();
        const shown = certificateFacts(certificate, acme);
        const { portal: page, ...others } = ready();
        const urlTls = page?.urlTls === undefined ? {} : { urlTls: secureUrl(certificate, page.urlTls) };
        return {
          ...others,
          ...(page === undefined ? {} : { portal: { ...page, ...urlTls } }),
          services: services.states(),
          figures: await measure.figures(),
          ...(shown === undefined ? {} : { certificate: shown }),
          ...(operatorLink === undefined ? {} : { operatorLink }),
        };
      },
    });
    closing.push(() => control.close());
    const facts = ready();
    if (configuration.mdns && facts.portal !== undefined) {
      const announced = await Mdns.open(
        { logger, onName: () => void certificate?.check() },
        {
          name: join.name(),
          addresses: () => addresses().filter((address) => !isLoopback(address)),
          httpPort: portOf(facts.portal.url),
          httpsPort: facts.portal.urlTls === undefined ? undefined : portOf(facts.portal.urlTls),
        },
      );
      mdns = announced;
      closing.push(() => announced.close());
    }
    const running = state.file(RUNNING_FILE);
    closing.push(() => rm(running, { force: true }));
    const told = { ...facts, bootstrap: configuration.bootstrap };
    await writeAtomically(running, `${JSON.stringify(told, undefined, 2)}\n`);
    await acme?.start();
    if (readyFile !== undefined) await writeAtomically(readyFile, `${JSON.stringify(facts, undefined, 2)}\n`);
    return { ready: facts, join: () => joinFacts(join, false), operatorLink: link(), whenRestored, stop };
  } catch (error) {
    await stop();
    throw error;
  }
}

interface CertificateParts {
  readonly state: StateDirectory;
  readonly logger: Logger;
  readonly names: () => string[];
  readonly addresses: () => string[];
  /** A whole hub has an authority of its own; a single service has what its operator gives it. */
  readonly isWhole: boolean;
}

/** The hub's certificate: the operator's files, or the own authority's; undefined for a single service without files. */
async function openCertificate(
  { certificate, privateKey, acmeDomain }: HubConfiguration,
  { state, logger, names, addresses, isWhole }: CertificateParts,
): Promise<HubCertificate | undefined> {
  if ((certificate === undefined) !== (privateKey === undefined)) {
    throw new UsageError('--certificate and --private-key belong together: name both files.');
  }
  const files = certificate === undefined || privateKey === undefined ? undefined : { certificate, privateKey };
  const isAcme = acmeDomain.length > 0;
  if (isAcme && (files !== undefined || !isWhole)) {
    throw new UsageError(
      files === undefined
        ? '--acme-domain is for a whole hub (atoll up); a single service takes --certificate and --private-key.'
        : '--acme-domain gets a certificate, and --certificate names one: leave one of them out.',
    );
  }
  if (files === undefined && !isWhole) return undefined;
  const authority = files === undefined ? await Authority.open(state, names(), addresses(), unixMs()) : undefined;
  const machine = hostname().toLowerCase();
  return HubCertificate.open(
    { state, logger, unixMs, authority },
    {
      files,
      isAcme,
      names: () => [...names(), `${machine}.local`, 'localhost', ...addresses(), '127.0.0.1', '::1'],
    },
  );
}

function portOf(url: string): number {
  const { port, protocol } = new URL(url);
  return port === '' ? (protocol === 'https:' ? 443 : 80) : Number(port);
}

function isLoopback(address: string): boolean {
  return address === '::1' || address.startsWith('127.');
}

async function wait(ms: number, signal: AbortSignal): Promise<void> {
  await sleep(ms, undefined, { signal }).catch(() => {});
}
