import type { Clock, Endpoint, Logger, RandomSource, Scheduler } from '@atoll/base';
import type { StunMessage } from '@atoll/stun';
import type { Allocation, AllocationParts, Proof } from './allocation.js';
import type { AllocationTable } from './allocation-table.js';
import type { ClientListener } from './client.js';
import type { Counters } from './counters.js';
import type { CredentialStore } from './credentials.js';
import type { NatDiscovery } from './nat-discovery.js';
import type { Nonces } from './nonces.js';
import type { TurnOptions } from './options.js';
import type { PeerRules } from './peer-rules.js';
import type { Quotas } from './quotas.js';
import type { Realms } from './realms.js';
import type { RelayFactory } from './relay.js';
import type { Reservations } from './reservations.js';
import type { ConnectionIds } from './tcp-connections.js';
import type { UnauthorizedLimit } from './unauthorized-limit.js';

/** Asks the other processes that share the ports for what a token reserved; `found` is called later. */
export type FindReservation = (token: Uint8Array, user: string, found: (local: Endpoint | undefined) => void) => void;

/** Everything a handler may touch. */
export interface TurnContext {
  readonly clock: Clock;
  readonly random: RandomSource;
  readonly scheduler: Scheduler;
  readonly logger: Logger;
  readonly options: TurnOptions;
  readonly credentials: CredentialStore;
  readonly relays: RelayFactory;
  readonly realms: Realms;
  readonly quotas: Quotas;
  readonly peerRules: PeerRules;
  readonly nonces: Nonces;
  readonly unauthorized: UnauthorizedLimit;
  readonly allocations: AllocationTable;
  readonly reservations: Reservations;
  /** Where another process that shares the ports held one for this token, and gave it away. */
  readonly findReservation: FindReservation | undefined;
  readonly connectionIds: ConnectionIds;
  readonly natDiscovery: NatDiscovery;
  readonly counters: Counters;
  readonly allocationParts: AllocationParts;
  /** Set while the server ends: nothing new is begun. */
  isDraining: boolean;
}

/** One request on its way through the handlers. */
export interface TurnRequest {
  readonly message: StunMessage;
  readonly listener: ClientListener;
  readonly from: Endpoint;
  /** The allocation of the 5-tuple it came on. */
  readonly allocation: Allocation | undefined;
  /** What was proved; undefined where nothing needs to be. */
  readonly proof: Proof | undefined;
  /** Name that quotas count by. */
  readonly account: string;
  readonly realm: string;
  /** When the credential ends, UNIX ms. */
  readonly validUntilMs: number | undefined;
}
