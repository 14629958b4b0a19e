import { createSocket } from 'node:dgram';
import { AtollError, errorMessage, type RandomSource, systemRandom } from '@atoll/base';
import { addressKind } from './core/address-kind.js';
import type { Gateway, ListedMapping, Mapping, Transport, WantedMapping } from './gateway.js';
import { exchange } from './http-exchange.js';
import { decodeSearchAnswer, encodeSearch, GATEWAY_DEVICES, SSDP_GROUP, SSDP_PORT } from './wire/ssdp.js';
import { decodeActionAnswer, decodeDescription, encodeAction, type UpnpAnswer, type UpnpService } from './wire/upnp.js';

/** How long answers to a search are waited for, ms; it is sent twice, as datagrams get lost. */
const SEARCH_MS = 2500;
const REPEAT_MS = 500;
/** Devices that answer whose description is looked at. */
const MAX_DEVICES = 8;
/** Mappings read of a router's list. */
const MAX_LISTED = 256;
/** Other external ports tried when the one asked for is taken. */
const MAX_OTHER_PORTS = 4;

/** IGD's own errors (UPnP Forum, WANIPConnection section 2.6). */
const ERRORS = { noSuchEntry: 714, conflict: 718, onlyPermanent: 725 } as const;

/** A router asked by UPnP: IGD 1 or 2. */
export class UpnpGateway implements Gateway {
  readonly method = 'upnp';
  readonly address: string;
  readonly local: string;
  private readonly service: UpnpService;
  private readonly random: RandomSource;

  private constructor(address: string, local: string, service: UpnpService, random: RandomSource) {
    this.address = address;
    this.local = local;
    this.service = service;
    this.random = random;
  }

  /**
   * Looks for a router on the link of `local`, at `preferred` first, or with `isOnly` there alone. Only private
   * addresses are believed, and only what they say of themselves.
   */
  static async find(
    local: string,
    preferred: string,
    isOnly: boolean,
    random: RandomSource = systemRandom,
  ): Promise<Gateway | undefined> {
    const locations = await search(local, preferred, isOnly);
    for (const location of locations) {
      try {
        const { status, text } = await exchange(location, { method: 'GET' });
        const service = status === 200 ? decodeDescription(text, location) : undefined;
        if (service !== undefined) return new UpnpGateway(location.hostname, local, service, random);
      } catch {
        // The next one may be better.
      }
    }
    return undefined;
  }

  async externalAddress(): Promise<string | undefined> {
    const values = await this.order('GetExternalIPAddress', {}, ['NewExternalIPAddress']);
    return values.get('NewExternalIPAddress') || undefined;
  }

  async map(wanted: WantedMapping): Promise<Mapping> {
    const { transport, internalPort } = wanted;
    // IGD 2 finds a free port itself.
    const canChoose = this.service.type.endsWith(':2');
    let { externalPort, lifetime } = wanted;
    for (let tries = 0; ; tries++) {
      const answer = await this.ask(
        canChoose ? 'AddAnyPortMapping' : 'AddPortMapping',
        {
          NewRemoteHost: '',
          NewExternalPort: externalPort,
          NewProtocol: transport.toUpperCase(),
          NewInternalPort: internalPort,
          NewInternalClient: this.local,
          NewEnabled: 1,
          NewPortMappingDescription: wanted.description,
          NewLeaseDuration: lifetime,
        },
        canChoose ? ['NewReservedPort'] : [],
      );
      if ('values' in answer) {
        const reserved = Number(answer.values.get('NewReservedPort') ?? externalPort);
        if (!(reserved > 0 && reserved < 65_536)) throw this.refused('it answered with a port that is none');
        return { transport, internalPort, externalPort: reserved, lifetime };
      }
      if (answer.error === ERRORS.onlyPermanent && lifetime > 0) lifetime = 0;
      else if (answer.error === ERRORS.conflict && tries < MAX_OTHER_PORTS) {
        externalPort = 20_000 + (this.random.uint32() % 40_000);
      } else throw this.refused(`${answer.description} (${answer.error})`);
    }
  }

  async unmap(mapping: Pick<Mapping, 'transport' | 'externalPort'>): Promise<void> {
    // Any machine may take away the mapping of any other by UPnP: we do not.
    if ((await this.owner(mapping)) !== this.local) return;
    await this.order('DeletePortMapping', place(mapping), []);
  }

  async remembers(mapping: Mapping): Promise<boolean> {
    return (await this.owner(mapping)) === this.local;
  }

  async list(): Promise<ListedMapping[]> {
    const found: ListedMapping[] = [];
    for (let index = 0; index < MAX_LISTED; index++) {
      const answer = await this.ask('GetGenericPortMappingEntry', { NewPortMappingIndex: index }, [
        'NewExternalPort',
        'NewProtocol',
        'NewInternalPort',
        'NewInternalClient',
        'NewPortMappingDescription',
        'NewLeaseDuration',
      ]);
      // Some routers end the list with another error than they should.
      if ('error' in answer) break;
      const of = (name: string): string => answer.values.get(`New${name}`) ?? '';
      const transport = of('Protocol').toLowerCase();
      if (transport !== 'udp' && transport !== 'tcp') continue;
      found.push({
        transport: transport satisfies Transport,
        internalPort: Number(of('InternalPort')),
        externalPort: Number(of('ExternalPort')),
        lifetime: Number(of('LeaseDuration')),
        internalAddress: of('InternalClient'),
        description: of('PortMappingDescription'),
      });
    }
    return found;
  }

  /** The machine that a mapping leads to; undefined when there is no such mapping. */
  private async owner(mapping: Pick<Mapping, 'transport' | 'externalPort'>): Promise<string | undefined> {
    const entry = await this.ask('GetSpecificPortMappingEntry', place(mapping), ['NewInternalClient']);
    if ('values' in entry) return entry.values.get('NewInternalClient');
    if (entry.error === ERRORS.noSuchEntry) return undefined;
    throw this.refused(`${entry.description} (${entry.error})`);
  }

  private async order(
    action: string,
    values: Readonly<Record<string, string | number>>,
    names: readonly string[],
  ): Promise<ReadonlyMap<string, string>> {
    const answer = await this.ask(action, values, names);
    if ('values' in answer) return answer.values;
    throw this.refused(`${answer.description} (${answer.error})`);
  }

  private async ask(
    action: string,
    values: Readonly<Record<string, string | number>>,
    names: readonly string[],
  ): Promise<UpnpAnswer> {
    const { type, controlUrl } = this.service;
    let text: string;
    try {
      const headers = { 'Content-Type': 'text/xml; charset="utf-8"', SOAPAction: `"${type}#${action}"` };
      const answer = await exchange(controlUrl, { method: 'POST', headers, body: encodeAction(type, action, values) });
      text = answer.text;
    } catch (cause) {
      throw new AtollError(
        'PORT_MAP_NO_ANSWER',
        `The router ${this.address} does not answer: ${errorMessage(cause)}.`,
        { cause },
      );
    }
    const answer = decodeActionAnswer(text, action, names);
    if (answer === undefined) throw this.refused('its answer cannot be understood');
    return answer;
  }

  private refused(why: string): AtollError {
    return new AtollError('PORT_MAP_REFUSED', `The router ${this.address} does not map the port: ${why}.`);
  }
}

function place({
  transport,
  externalPort,
}: Pick<Mapping, 'transport' | 'externalPort'>): Record<string, string | number> {
  return { NewRemoteHost: '', NewExternalPort: externalPort, NewProtocol: transport.toUpperCase() };
}

/** Where routers on the link describe themselves; the others are heard when the preferred one is silent. */
function search(local: string, preferred: string, isOnly: boolean): Promise<URL[]> {
  const socket = createSocket('udp4');
  return new Promise((resolve) => {
    const found = new Map<string, URL>();
    const timers: NodeJS.Timeout[] = [];
    let isOver = false;
    const end = (): void => {
      if (isOver) return;
      isOver = true;
      for (const timer of timers) clearTimeout(timer);
      socket.close();
      resolve([...found.values()]);
    };
    const send = (): void => {
      for (const target of GATEWAY_DEVICES) socket.send(encodeSearch(target), SSDP_PORT, SSDP_GROUP, () => {});
    };
    socket.on('error', end);
    socket.on('message', (bytes, { address }) => {
      const location = decodeSearchAnswer(bytes);
      if (location === undefined || !URL.canParse(location) || found.size >= MAX_DEVICES) return;
      const url = new URL(location);
      if (url.protocol !== 'http:' || url.hostname !== address || addressKind(address) !== 'private') return;
      if (address === preferred) {
        found.clear();
        found.set(url.href, url);
        end();
      } else if (!isOnly) found.set(url.href, url);
    });
    socket.bind(0, local, () => {
      socket.setMulticastInterface(local);
      send();
      timers.push(setTimeout(send, REPEAT_MS), setTimeout(end, SEARCH_MS));
    });
  });
}
