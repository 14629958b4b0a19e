// What the tests of DTLS stand on: a wire in memory, a clock that stands still, certificates of the two kinds.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { test as nodeTest } from 'node:test';
import { type Clock, Endpoint, Scheduler, systemRandom } from '@atoll/base';
import { createDtlsContext, type DtlsContext, type DtlsContextOptions } from './core/context.js';
import { DtlsEndpoint, type DtlsEndpointOptions } from './core/dtls-endpoint.js';
import { DtlsServer, type DtlsServerOptions } from './core/server.js';
import type { DtlsEnd, DtlsSession } from './core/session.js';
import { nativeDtls } from './native.js';

/** Tests where there is a native part; in CI it must be there (scripts/test.mjs, step native). */
export const test: (name: string, run: () => void | Promise<void>) => void = nativeDtls.available ? nodeTest : () => {};

export function pem(name: 'rsa-2048' | 'p-256'): string {
  return readFileSync(new URL(`../vectors/${name}.pem`, import.meta.url), 'utf8');
}

export function contextOf(name: 'rsa-2048' | 'p-256', more: DtlsContextOptions = {}): DtlsContext {
  return createDtlsContext({ certificates: [{ certificate: pem(name), privateKey: pem(name) }], ...more });
}

export interface Client {
  readonly endpoint: DtlsEndpoint;
  readonly address: Endpoint;
  readonly got: string[];
  end: { why: DtlsEnd; detail: string } | undefined;
}

export interface Packet {
  readonly bytes: Buffer;
  /** Undefined when it goes to the server. */
  readonly to: Client | undefined;
  readonly from: Endpoint;
}

/** A server that echoes and its clients, with a wire between them that delivers when told. */
export class Wire {
  nowMs = 1000;
  readonly clock: Clock = { nowMs: () => this.nowMs, unixMs: () => this.nowMs };
  readonly scheduler = new Scheduler();
  readonly packets: Packet[] = [];
  readonly clients = new Map<string, Client>();
  readonly server: DtlsServer;
  readonly opened: DtlsSession[] = [];
  readonly ends: string[] = [];
  /** Datagrams to addresses where nobody is. */
  readonly toNobody: Buffer[] = [];
  /** Every packet that was delivered. */
  readonly log: Packet[] = [];

  constructor(options: Partial<DtlsServerOptions> = {}) {
    this.server = new DtlsServer(
      {
        clock: this.clock,
        scheduler: this.scheduler,
        random: systemRandom,
        send: (bytes, to) => {
          const client = this.clients.get(to.key);
          if (client === undefined) this.toNobody.push(Buffer.from(bytes));
          else this.packets.push({ bytes: Buffer.from(bytes), to: client, from: to });
        },
      },
      { context: contextOf('p-256'), ...options },
      {
        opened: (session) => this.opened.push(session),
        receive: (bytes, _from, session) => assert.ok(session.send(bytes)),
        closed: (session, why) => this.ends.push(`${session.peer.port} ${why}`),
        handshakeFailed: (peer, why, detail) => this.ends.push(`${peer.port} failed: ${why} ${detail}`.trim()),
      },
    );
  }

  connect(port: number, options: Partial<DtlsEndpointOptions> = {}, ip = '127.0.0.1'): Client {
    const address = Endpoint.from(ip, port);
    assert.ok(address);
    const got: string[] = [];
    const endpoint = new DtlsEndpoint(
      {
        clock: this.clock,
        scheduler: this.scheduler,
        send: (bytes) => this.packets.push({ bytes: Buffer.from(bytes), to: undefined, from: address }),
      },
      { ...options, context: options.context ?? createDtlsContext({}), role: 'client' },
      {
        receive: (bytes) => got.push(bytes.toString()),
        closed: (why, detail) => {
          client.end = { why, detail };
        },
      },
    );
    const client: Client = { endpoint, address, got, end: undefined };
    this.clients.set(address.key, client);
    endpoint.start();
    return client;
  }

  /** Delivers what is under way and what follows from it, until `isEnough`. */
  run(isEnough: () => boolean = () => false): void {
    for (let packet = this.packets.shift(); packet !== undefined; packet = this.packets.shift()) {
      this.deliver(packet);
      if (isEnough()) return;
    }
  }

  deliver(packet: Packet): void {
    this.log.push(packet);
    if (packet.to === undefined) this.server.receive(packet.bytes, packet.from);
    else packet.to.endpoint.receive(packet.bytes);
  }

  /** Lets time pass, in steps of a second, with nothing delivered. */
  pass(ms: number): void {
    for (const end = this.nowMs + ms; this.nowMs < end; ) {
      this.nowMs = Math.min(end, this.nowMs + 1000);
      this.scheduler.runDue(this.nowMs);
    }
  }
}
