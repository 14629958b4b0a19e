import { createHmac } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { AtollError, errorCode, systemClock } from '@atoll/base';
import { Epoch } from './core/epoch.js';
import type { Gateway, Mapping, MappingMethod, WantedMapping } from './gateway.js';
import * as natPmp from './wire/nat-pmp.js';
import * as pcp from './wire/pcp.js';

/** Waits before a request is sent again, ms (RFC 6886 section 3.1); a person waits, so there are few. */
const WAITS_MS = [250, 500, 1000, 2000];

/** A router asked by PCP (RFC 6887), or by NAT-PMP (RFC 6886) where it speaks nothing newer. */
export class PortControl implements Gateway {
  readonly method: MappingMethod;
  readonly address: string;
  readonly local: string;
  private readonly key: Uint8Array;
  private readonly epoch = new Epoch();
  private external: string | undefined;

  private constructor(method: MappingMethod, address: string, local: string, key: Uint8Array) {
    this.method = method;
    this.address = address;
    this.local = local;
    this.key = key;
  }

  /**
   * Asks whether there is a server at an address; undefined when there is not. `key`: secret of this machine, from which
   * the nonces of mappings are made, so that only who knows it can change or remove them.
   */
  static async find(address: string, key: Uint8Array, methods: readonly MappingMethod[]): Promise<Gateway | undefined> {
    for (const method of ['pcp', 'nat-pmp'] as const) {
      if (!methods.includes(method)) continue;
      const encode = (local: string): Buffer =>
        method === 'pcp' ? pcp.encodeAnnounceRequest(local) : natPmp.encodeAddressRequest();
      // Any answer of the right version will do; one of another version says that this one is not spoken.
      const found = await ask(address, encode, (answer) => {
        const decoded = method === 'pcp' ? pcp.decodePcpAnswer(answer) : natPmp.decodeNatPmpAnswer(answer);
        if (typeof decoded !== 'string') return { isSpoken: true };
        return decoded === 'other version' ? { isSpoken: false } : undefined;
      }).catch(() => undefined);
      if (found === undefined) return undefined;
      if (found.answer.isSpoken) return new PortControl(method, address, found.local, key);
    }
    return undefined;
  }

  async externalAddress(): Promise<string | undefined> {
    // PCP tells it with each mapping only; most of its servers speak NAT-PMP too.
    if (this.external !== undefined && this.method === 'pcp') return this.external;
    const found = await ask(this.address, natPmp.encodeAddressRequest, (bytes) => {
      const answer = natPmp.decodeNatPmpAnswer(bytes);
      if (typeof answer === 'string') return answer === 'other version' ? { externalAddress: undefined } : undefined;
      return answer.mapping === undefined ? answer : undefined;
    }).catch((error: unknown) => {
      if (this.method === 'pcp') return undefined;
      throw error;
    });
    return found?.answer.externalAddress;
  }

  map(wanted: WantedMapping): Promise<Mapping> {
    return this.method === 'pcp' ? this.mapByPcp(wanted) : this.mapByNatPmp(wanted);
  }

  async unmap({ transport, internalPort }: Pick<Mapping, 'transport' | 'internalPort'>): Promise<void> {
    // A lifetime of zero takes away what this machine mapped of the port, and no mapping of others.
    await this.map({ transport, internalPort, externalPort: 0, lifetime: 0, description: '' });
  }

  async list(): Promise<undefined> {
    return undefined;
  }

  private async mapByPcp({ transport, internalPort, externalPort, lifetime }: WantedMapping): Promise<Mapping> {
    const nonce = createHmac('sha256', this.key).update(`${transport} ${internalPort}`).digest();
    const wanted = {
      nonce: nonce.subarray(0, pcp.NONCE_BYTES),
      transport,
      internalPort,
      externalPort,
      externalAddress: '0.0.0.0',
    };
    const { answer } = await ask(
      this.address,
      (local) => pcp.encodeMapRequest(wanted, lifetime, local),
      (bytes) => {
        const decoded = pcp.decodePcpAnswer(bytes);
        if (typeof decoded === 'string' || decoded.mapping === undefined) return undefined;
        const { mapping } = decoded;
        const isOurs =
          mapping.transport === transport &&
          mapping.internalPort === internalPort &&
          wanted.nonce.equals(mapping.nonce);
        return isOurs ? { ...decoded, mapping } : undefined;
      },
    );
    if (answer.result !== 0) throw refused(this.address, pcp.PCP_RESULTS[answer.result] ?? `code ${answer.result}`);
    this.epoch.isContinued(answer.epoch, systemClock.nowMs());
    const { mapping } = answer;
    if (lifetime > 0) this.external = mapping.externalAddress;
    return { transport, internalPort, externalPort: mapping.externalPort, lifetime: answer.lifetime };
  }

  private async mapByNatPmp({ transport, internalPort, externalPort, lifetime }: WantedMapping): Promise<Mapping> {
    const { answer } = await ask(
      this.address,
      () => natPmp.encodeMapRequest(transport, internalPort, externalPort, lifetime),
      (bytes) => {
        const decoded = natPmp.decodeNatPmpAnswer(bytes);
        if (typeof decoded === 'string' || decoded.externalAddress !== undefined) return undefined;
        const { mapping } = decoded;
        if (mapping === undefined) return decoded;
        return mapping.transport === transport && mapping.internalPort === internalPort ? decoded : undefined;
      },
    );
    if (answer.mapping === undefined) {
      throw refused(this.address, natPmp.NAT_PMP_RESULTS[answer.result] ?? `code ${answer.result}`);
    }
    this.epoch.isContinued(answer.epoch, systemClock.nowMs());
    return answer.mapping;
  }

  /** By its epoch: a router that did not start anew has all that it granted. */
  async remembers(): Promise<boolean> {
    const isPcp = this.method === 'pcp';
    const { answer } = await ask(
      this.address,
      (local) => (isPcp ? pcp.encodeAnnounceRequest(local) : natPmp.encodeAddressRequest()),
      (bytes) => {
        const decoded = isPcp ? pcp.decodePcpAnswer(bytes) : natPmp.decodeNatPmpAnswer(bytes);
        return typeof decoded === 'string' ? undefined : decoded;
      },
    );
    return this.epoch.isContinued(answer.epoch, systemClock.nowMs());
  }
}

function refused(address: string, why: string): AtollError {
  return new AtollError('PORT_MAP_REFUSED', `The router ${address} does not map the port: ${why}.`);
}

/** Sends a request until an answer comes that `accept` takes. Only the router itself is heard. */
function ask<T>(
  address: string,
  encode: (local: string) => Buffer,
  accept: (answer: Buffer) => T | undefined,
): Promise<{ answer: T; local: string }> {
  const socket: Socket = createSocket('udp4');
  return new Promise<{ answer: T; local: string }>((resolve, reject) => {
    let timer: NodeJS.Timeout | undefined;
    const end = (finish: () => void): void => {
      clearTimeout(timer);
      socket.close();
      finish();
    };
    const fail = (why: string): void =>
      end(() => reject(new AtollError('PORT_MAP_NO_ANSWER', `The router ${address} does not answer: ${why}.`)));
    let tries = 0;
    const send = (): void => {
      const waitMs = WAITS_MS[tries++];
      if (waitMs === undefined) return fail('it kept silent');
      socket.send(encode(socket.address().address));
      timer = setTimeout(send, waitMs);
    };
    socket.on('error', (error) => fail(errorCode(error)));
    socket.on('message', (bytes) => {
      const answer = accept(bytes);
      if (answer === undefined) return;
      const local = socket.address().address;
      end(() => resolve({ answer, local }));
    });
    // Without a callback, because that would swallow the error of an address without a route.
    socket.once('connect', send);
    socket.connect(natPmp.SERVER_PORT, address);
  });
}
