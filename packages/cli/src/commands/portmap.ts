import { UsageError } from '@atoll/base';
import { isMappable, PORT_PURPOSES, PortMapMemory, readConfiguration } from '@atoll/hub';
import {
  findGateway,
  type Gateway,
  LIFETIME_SECONDS,
  type Mapping,
  type MappingMethod,
  type WantedMapping,
  type WayOutside,
  wayOutside,
} from '@atoll/port-mapping';
import { Command } from 'commander';
import { givenSettings, type HubOptions, withHubSettings, withServiceSwitches } from '../hub-settings.js';
import { messagesFor } from '../messages/locale.js';
import { portsOfHub } from '../open-ports.js';

const METHODS: readonly MappingMethod[] = ['pcp', 'nat-pmp', 'upnp'];
const MAX_LIFETIME = 604_800;

interface Options extends HubOptions {
  readonly gateway?: string;
  readonly method?: string;
  readonly lifetime?: string;
  readonly readyFile?: string;
  readonly json?: boolean;
}

/** A port as a person names it. */
interface NamedPort {
  readonly transport: 'udp' | 'tcp';
  readonly internalPort: number;
  readonly externalPort: number | undefined;
}

/** `atoll portmap`: has the router let people outside in. */
export function portmapCommand(): Command {
  const portmap = new Command('portmap').description('Have the router let people outside reach this machine');
  withRouterOptions(portmap.command('list'))
    .description('The router, its address outside and its mappings')
    .action((options: Options) => list(options));
  withRouterOptions(portmap.command('add'))
    .description('Map ports, those of the hub when none is named; a hub with --port-map true does so by itself')
    .argument('[PORT...]', 'as 4222/udp, or 4222/udp:14222 for another port outside')
    .option('--lifetime <SECONDS>', 'How long the mapping lasts', String(LIFETIME_SECONDS))
    .option('--ready-file <FILE>', 'Ready file of the running hub: the ports that it really took')
    .action((ports: string[], options: Options) => add(ports, options));
  withRouterOptions(portmap.command('remove'))
    .description('Take mappings of this machine away, all that it made when none is named')
    .argument('[PORT...]', 'as 4222/udp, the port of this machine')
    .action((ports: string[], options: Options) => remove(ports, options));
  return portmap;
}

function withRouterOptions(command: Command): Command {
  return withServiceSwitches(withHubSettings(command))
    .option('--gateway <ADDR>', 'The router; the default gateway when left out')
    .option('--method <METHOD>', 'pcp, nat-pmp or upnp; the first that the router speaks when left out')
    .option('--json', 'Print JSON');
}

async function list(options: Options): Promise<void> {
  const { memory, gateway } = await open(options);
  const all = await gateway.list();
  const mappings =
    all ?? memory.mappings.map((mapping) => ({ ...mapping, internalAddress: gateway.local, description: '' }));
  const way = await wayOutside(gateway);
  const { portMap: messages } = messagesFor(process.env);
  const lines = mappings.map((mapping) => {
    const inside = `${mapping.internalAddress}:${mapping.internalPort}`;
    return `  ${`${mapping.externalPort}/${mapping.transport}`.padEnd(10)} → ${inside.padEnd(21)} ${mapping.description}`;
  });
  const heading = mappings.length === 0 ? messages.noMappings : all === undefined ? messages.own : messages.mappings;
  print(
    options,
    { ...way, mappings },
    `${described(way)}${heading}\n${lines.map((line) => `${line.trimEnd()}\n`).join('')}`,
  );
}

async function add(named: readonly string[], options: Options): Promise<void> {
  const lifetime = wholeSeconds(options.lifetime ?? '');
  const wanted = named.length > 0 ? named.map((text) => wantedPort(text, lifetime)) : await ofHub(options, lifetime);
  const { memory, gateway } = await open(options);
  const mappings: Mapping[] = [];
  try {
    for (const each of wanted) mappings.push(await gateway.map(each));
  } catch (error) {
    // Why a router refuses is seldom in its answer, but often in what stands behind it.
    if (!options.json) process.stdout.write(described(await wayOutside(gateway)));
    throw error;
  } finally {
    await memory.remember(mappings);
  }
  const way = await wayOutside(gateway);
  const { portMap: messages } = messagesFor(process.env);
  const lines = mappings.map((mapping) => `  ${messages.mapped(mapping)}\n`);
  const until = mappings.some((mapping) => mapping.lifetime === 0) ? '' : `${messages.until(lifetime)}\n`;
  print(options, { ...way, mappings }, `${described(way)}${lines.join('')}${until}`);
}

async function remove(named: readonly string[], options: Options): Promise<void> {
  const ports = named.map(namedPort);
  const { memory, gateway } = await open(options);
  const known = (port: NamedPort): Mapping | undefined =>
    memory.mappings.find(
      ({ transport, internalPort }) => transport === port.transport && internalPort === port.internalPort,
    );
  const targets =
    ports.length > 0
      ? ports.map((port) => ({ externalPort: port.internalPort, ...known(port), ...defined(port) }))
      : memory.mappings;
  for (const target of targets) await gateway.unmap(target);
  await memory.forget(targets);
  const removed = targets.map(({ transport, internalPort }) => ({ transport, internalPort }));
  const { portMap: messages } = messagesFor(process.env);
  print(options, { removed }, `${messages.removed(removed.length)}\n`);
}

function defined({ externalPort, ...place }: NamedPort): Omit<NamedPort, 'externalPort'> & { externalPort?: number } {
  return externalPort === undefined ? place : { ...place, externalPort };
}

async function open(options: Options): Promise<{ memory: PortMapMemory; gateway: Gateway }> {
  const { state } = await readConfiguration(givenSettings(options), process.env, options.config);
  const { method } = options;
  if (method !== undefined && !(METHODS as readonly string[]).includes(method)) {
    throw new UsageError(`--method takes ${METHODS.join(', ')}, not “${method}”.`);
  }
  const methods = method === undefined ? undefined : METHODS.filter((each) => each === method);
  const memory = await PortMapMemory.open(state);
  return { memory, gateway: await findGateway({ key: memory.key, address: options.gateway, methods }) };
}

/** The way outside for people, who are told step by step where one router is not enough. */
function described(way: WayOutside): string {
  const { portMap: messages } = messagesFor(process.env);
  const { router, method, externalAddress, next } = way;
  const head = messages.router(router, method, externalAddress);
  const steps =
    next === 'internet'
      ? []
      : next === 'second-router'
        ? messages.secondRouter(router, externalAddress, way.secondRouter)
        : next === 'carrier'
          ? messages.carrier(router, externalAddress)
          : messages.unknownWay(router);
  return `${[head, '', ...steps, ...(steps.length > 0 ? [''] : [])].join('\n')}\n`;
}

async function ofHub(options: Options, lifetime: number): Promise<WantedMapping[]> {
  const configuration = await readConfiguration(givenSettings(options), process.env, options.config);
  return (await portsOfHub(configuration, options.readyFile)).filter(isMappable).map(({ use, transport, from }) => ({
    transport,
    internalPort: from,
    externalPort: from,
    lifetime,
    description: `Atoll ${PORT_PURPOSES[use]}`,
  }));
}

function wantedPort(text: string, lifetime: number): WantedMapping {
  const port = namedPort(text);
  return { ...port, externalPort: port.externalPort ?? port.internalPort, lifetime, description: 'Atoll' };
}

function namedPort(text: string): NamedPort {
  const [, port, transport, outside] = /^(\d{1,5})\/(udp|tcp)(?::(\d{1,5}))?$/i.exec(text) ?? [];
  const isPort = (number: number): boolean => number > 0 && number < 65_536;
  const internalPort = Number(port);
  const externalPort = outside === undefined ? undefined : Number(outside);
  if (!isPort(internalPort) || (externalPort !== undefined && !isPort(externalPort))) {
    throw new UsageError(`A port is named as 4222/udp or 4222/udp:14222, not “${text}”.`);
  }
  return { transport: transport?.toLowerCase() === 'udp' ? 'udp' : 'tcp', internalPort, externalPort };
}

function wholeSeconds(text: string): number {
  const seconds = /^\d{1,6}$/.test(text) ? Number(text) : 0;
  if (seconds >= 120 && seconds <= MAX_LIFETIME) return seconds;
  throw new UsageError(`--lifetime takes seconds from 120 to ${MAX_LIFETIME}, not “${text}”.`);
}

function print(options: Options, json: object, text: string): void {
  process.stdout.write(options.json ? `${JSON.stringify(json)}\n` : text);
}
