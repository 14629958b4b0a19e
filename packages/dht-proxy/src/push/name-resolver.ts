import { lookup, Resolver } from 'node:dns/promises';
import { networkInterfaces } from 'node:os';
import type { GuardComponents } from './endpoint-guard.js';

/** How long one question to one name server may take, ms, and how often it is asked. */
const QUESTION_MS = 2000;
const QUESTIONS = 2;

/**
 * Names and addresses as the machine has them.
 *
 * Strangers' names are asked of the DNS by a resolver of its own: the system's would look into the hosts file, try
 * search domains, and let a slow name hold one of the few threads that files and all other names need. The operator's
 * names go to the system.
 */
export const machineNames: GuardComponents = {
  async resolve(name, isListed) {
    if (isListed) return (await lookup(name, { all: true })).map(({ address }) => address);
    const resolver = new Resolver({ timeout: QUESTION_MS, tries: QUESTIONS });
    const [four, six] = await Promise.allSettled([resolver.resolve4(name), resolver.resolve6(name)]);
    const found = [four, six].flatMap((answer) => (answer.status === 'fulfilled' ? answer.value : []));
    if (found.length === 0 && four.status === 'rejected') throw four.reason;
    return found;
  },
  ownAddresses: () => Object.values(networkInterfaces()).flatMap((list) => (list ?? []).map(({ address }) => address)),
};
