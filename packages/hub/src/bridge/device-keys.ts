import { longIdKey } from '@atoll/dht';
import { InfoHash, type PublicKey } from '@atoll/identity';

/** Daemons of Jami before and since dhtnet's long ids: each looks at its own DHT keys only (protocol/dht.md 27). */
export type Generation = 'older' | 'newer';

/** Where one generation looks for a device. */
interface KeysOfGeneration {
  /** The device's certificate. */
  readonly certificate: InfoHash;
  /** Connection requests to the device, and answers. */
  readonly requests: InfoHash;
}

export type DeviceKeys = Readonly<Record<Generation, KeysOfGeneration>>;

/** The DHT keys of a device in both generations, from the key of its certificate. */
export function deviceKeys({ id, longId }: Pick<PublicKey, 'id' | 'longId'>): DeviceKeys {
  return {
    older: { certificate: id, requests: InfoHash.of(`peer:${id}`) },
    newer: { certificate: longIdKey(longId), requests: InfoHash.of(`peer:${longId}`) },
  };
}

export function otherGeneration(generation: Generation): Generation {
  return generation === 'older' ? 'newer' : 'older';
}
