import { isIP } from 'node:net';
import { binaryBytes, parseIp } from '@atoll/base';

/** Domains that the public name system never gives to anybody (RFC 6762, RFC 8375, and what ICANN reserved). */
const LOCAL_DOMAINS = ['local', 'localhost', 'home.arpa', 'internal', 'lan'];

/** Networks whose addresses nobody has on the Internet. */
const LOCAL_NETWORKS = [
  '10.0.0.0/8',
  '100.64.0.0/10',
  '127.0.0.0/8',
  '169.254.0.0/16',
  '172.16.0.0/12',
  '192.168.0.0/16',
  '::1/128',
  'fc00::/7',
  'fe80::/10',
];

/** What an authority may vouch for: domains with all below them, and networks as `address/bits`. */
export interface NameConstraints {
  readonly domains: readonly string[];
  readonly networks: readonly string[];
}

/**
 * The constraints of an authority that lives on this host: local names and addresses, and the host's own, so that
 * whoever trusts it need not fear what else it could sign.
 */
export function constraintsFor(names: readonly string[], addresses: readonly string[]): NameConstraints {
  const local = { domains: LOCAL_DOMAINS, networks: LOCAL_NETWORKS };
  return {
    domains: [...LOCAL_DOMAINS, ...names.filter((name) => !isVouchable(name, local))],
    networks: [
      ...LOCAL_NETWORKS,
      ...addresses
        .filter((address) => !isVouchable(address, local))
        .map((address) => `${address}/${isIP(address) === 4 ? 32 : 128}`),
    ],
  };
}

/** Whether a name or address lies within constraints. */
export function isVouchable(nameOrAddress: string, { domains, networks }: NameConstraints): boolean {
  const ip = parseIp(nameOrAddress);
  if (ip === undefined) {
    return domains.some((domain) => nameOrAddress === domain || nameOrAddress.endsWith(`.${domain}`));
  }
  return networks.some((network) => {
    const { address, mask } = networkBytes(network);
    const bytes = binaryBytes(ip);
    return (
      bytes.length === address.length &&
      address.every((byte, at) => ((bytes[at] as number) & (mask[at] as number)) === byte)
    );
  });
}

/** NameConstraints in DER (RFC 5280 section 4.2.1.10): permitted subtrees only. */
export function encodeNameConstraints({ domains, networks }: NameConstraints): Buffer {
  const subtrees = [
    ...domains.map((domain) => element(0x82, Buffer.from(domain, 'latin1'))),
    ...networks.map((network) => {
      const { address, mask } = networkBytes(network);
      return element(0x87, Buffer.concat([address, mask]));
    }),
  ].map((name) => element(0x30, name));
  return element(0x30, element(0xa0, Buffer.concat(subtrees)));
}

function networkBytes(network: string): { address: Buffer; mask: Buffer } {
  const [text = '', bits = '0'] = network.split('/');
  const address = Buffer.from(binaryBytes(parseIp(text) ?? ''));
  const mask = Buffer.alloc(address.length);
  for (let bit = 0; bit < Number(bits); bit++) mask[bit >> 3] = (mask[bit >> 3] as number) | (0x80 >> (bit & 7));
  return { address, mask };
}

function element(tag: number, content: Buffer): Buffer {
  const { length } = content;
  const head = length < 0x80 ? [length] : length < 0x100 ? [0x81, length] : [0x82, length >> 8, length & 0xff];
  return Buffer.concat([Buffer.from([tag, ...head]), content]);
}
