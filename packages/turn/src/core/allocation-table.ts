import type { Endpoint } from '@atoll/base';
import type { Allocation } from './allocation.js';
import type { ClientListener } from './client.js';

/** Allocations by the 5-tuple of their client, and by their mobility ticket. */
export class AllocationTable {
  private readonly byListener = new Map<ClientListener, Map<string, Allocation>>();
  private readonly byTicket = new Map<string, Allocation>();
  private count = 0;
  private lastId = 0;

  get size(): number {
    return this.count;
  }

  nextId(): number {
    return ++this.lastId;
  }

  /** The clients of one listener: what its data path looks up. */
  clientsOf(listener: ClientListener): Map<string, Allocation> {
    let clients = this.byListener.get(listener);
    if (clients === undefined) {
      clients = new Map();
      this.byListener.set(listener, clients);
    }
    return clients;
  }

  find(listener: ClientListener, client: Endpoint): Allocation | undefined {
    return this.byListener.get(listener)?.get(client.key);
  }

  add(allocation: Allocation): void {
    this.clientsOf(allocation.listener).set(allocation.client.key, allocation);
    this.count++;
  }

  remove(allocation: Allocation): boolean {
    const clients = this.clientsOf(allocation.listener);
    if (clients.get(allocation.client.key) !== allocation) return false;
    clients.delete(allocation.client.key);
    this.count--;
    if (allocation.ticket !== undefined) this.byTicket.delete(allocation.ticket);
    return true;
  }

  /** The client of an allocation came to another 5-tuple (RFC 8016). */
  move(allocation: Allocation, listener: ClientListener, client: Endpoint): void {
    this.clientsOf(allocation.listener).delete(allocation.client.key);
    allocation.listener = listener;
    allocation.client = client;
    this.clientsOf(listener).set(client.key, allocation);
  }

  setTicket(allocation: Allocation, ticket: Buffer): void {
    if (allocation.ticket !== undefined) this.byTicket.delete(allocation.ticket);
    allocation.ticket = ticket.toString('latin1');
    this.byTicket.set(allocation.ticket, allocation);
  }

  ofTicket(ticket: Uint8Array): Allocation | undefined {
    return this.byTicket.get(Buffer.from(ticket).toString('latin1'));
  }

  *[Symbol.iterator](): Iterator<Allocation> {
    for (const clients of this.byListener.values()) yield* clients.values();
  }

  removeListener(listener: ClientListener): void {
    this.byListener.delete(listener);
  }
}
