import { Endpoint } from '@atoll/base';

/** Endpoints remembered; then the table starts anew. */
const MAX_REMEMBERED = 16_384;

/** One object for one peer, so that a packet costs a look-up and no new strings. */
export class EndpointTable {
  private readonly ipv4 = new Map<number, Endpoint>();
  private readonly byText = new Map<string, Endpoint>();

  /** From the address as a number in host order, and the port. */
  fromIpv4(address: number, port: number): Endpoint {
    const key = address * 65_536 + port;
    let endpoint = this.ipv4.get(key);
    if (endpoint === undefined) {
      const ip = String.fromCharCode(address >>> 24, (address >>> 16) & 255, (address >>> 8) & 255, address & 255);
      endpoint = new Endpoint(ip, port);
      if (this.ipv4.size >= MAX_REMEMBERED) this.ipv4.clear();
      this.ipv4.set(key, endpoint);
    }
    return endpoint;
  }

  /** From the 16 bytes of an IPv6 address. */
  fromIpv6(bytes: Buffer, port: number, scopeId: number): Endpoint {
    const key = `${bytes.latin1Slice()}${port}%${scopeId}`;
    let endpoint = this.byText.get(key);
    if (endpoint === undefined) {
      endpoint = Endpoint.fromBytes(bytes, port, scopeId);
      this.remember(key, endpoint);
    }
    return endpoint;
  }

  /** From the text of an address; undefined when it is none. */
  fromText(host: string, port: number): Endpoint | undefined {
    const key = `${host} ${port}`;
    let endpoint = this.byText.get(key);
    if (endpoint === undefined) {
      endpoint = Endpoint.from(host, port);
      if (endpoint !== undefined) this.remember(key, endpoint);
    }
    return endpoint;
  }

  get size(): number {
    return this.ipv4.size + this.byText.size;
  }

  private remember(key: string, endpoint: Endpoint): void {
    if (this.byText.size >= MAX_REMEMBERED) this.byText.clear();
    this.byText.set(key, endpoint);
  }
}
