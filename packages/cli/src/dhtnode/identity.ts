import { generateIdentity, type Identity, loadIdentity, saveIdentity } from '@atoll/identity';
import type { DhtnodeOptions } from './options.js';

/** The identity that the options ask for: loaded, or new as dhtnode makes it (an EC authority and an RSA-4096 key). */
export async function identityOf(options: DhtnodeOptions): Promise<Identity | undefined> {
  if (options.certificate !== undefined && options.privateKey !== undefined) {
    return loadIdentity(options.certificate, options.privateKey, options.privateKeyPassword);
  }
  if (!options.generateIdentity && options.saveIdentity === undefined) return undefined;
  const nowMs = Date.now();
  const authority = await generateIdentity('DHT Node CA', nowMs, { kind: 'ec' });
  const identity = await generateIdentity('DHT Node', nowMs, { issuer: authority });
  if (options.saveIdentity !== undefined) {
    await saveIdentity(options.saveIdentity, identity, options.privateKeyPassword);
    await saveIdentity(`${options.saveIdentity}_ca`, authority, options.privateKeyPassword);
  }
  return identity;
}
