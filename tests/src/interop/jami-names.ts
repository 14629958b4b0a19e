import type { Jamid } from '@atoll/testkit';

/** What the daemon's signals say of a search (protocol/name-server.md 3). */
export const FOUND = 0;
export const NOT_FOUND = 2;
/** What they say of a registration (protocol/name-server.md 5). */
export const REGISTERED = 0;
export const TAKEN = 3;

/** Registers a name for the account; the daemon's result. */
export async function registerName(jamid: Jamid, name: string): Promise<unknown> {
  await jamid.call('registerName', 'sss', [jamid.account, '', name]);
  const [, result] = await jamid.bus.waitFor('nameRegistrationEnded', (args) => args[2] === name);
  return result;
}

/** Looks for the account of a name, as an app does with what a person typed. */
export async function lookupName(jamid: Jamid, name: string): Promise<{ result: unknown; address: unknown }> {
  await jamid.call('lookupName', 'sss', [jamid.account, '', name]);
  const [, result, address] = await jamid.bus.waitFor('registeredNameFound', (args) => args[3] === name);
  return { result, address };
}
