/** Names of fields whose values are secrets, whatever they hold. */
const SECRET_FIELD =
  /((?:"|')?[\w-]*(?:password|passphrase|secret|token|authorization|cookie|credential|api-?key)[\w-]*(?:"|')?\s*[:=]\s*)("(?:[^"\\]|\\.)*"|'[^']*'|(?:Bearer|Basic)\s+\S+|[^\s,;}\]]+)/gi;
const PRIVATE_KEY = /-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?-----END [A-Z ]*PRIVATE KEY-----/g;
/** `scheme://user:password@host`. */
const USER_IN_URL = /(\b[a-z][a-z0-9+.-]*:\/\/)[^\s/@]+@/gi;
/** Jami ids and device ids. */
const HEX_ID = /\b(?:[0-9a-f]{64}|[0-9a-f]{40})\b/gi;
/** Paths and questions that carry user names: name server, and Jami's `name@server`. */
const NAME_ROUTE = /(\/name\/)[^\s/?"']+/g;
const LEAST_SECRET = 4;

/** What is known to be a secret or a person's name on this machine. */
export interface Sensitive {
  readonly secrets: readonly string[];
  readonly names: readonly string[];
}

/**
 * Strikes secrets and names out of texts. Ids become numbers, the same id the same number, so that one can still be told
 * from another.
 */
export class Redaction {
  private readonly secrets: readonly string[];
  private readonly names: RegExp | undefined;
  private readonly ids = new Map<string, number>();

  constructor({ secrets, names }: Sensitive) {
    // The longest first: one may begin another.
    this.secrets = secrets.filter(({ length }) => length >= LEAST_SECRET).sort((a, b) => b.length - a.length);
    const words = names.filter((name) => name !== '').sort((a, b) => b.length - a.length);
    this.names =
      words.length === 0
        ? undefined
        : new RegExp(`(?<![\\p{L}\\p{N}])(?:${words.map(escaped).join('|')})(?![\\p{L}\\p{N}])`, 'giu');
  }

  strike(text: string): string {
    let struck = text;
    for (const secret of this.secrets) {
      struck = struck.replaceAll(secret, '[secret]').replaceAll(encodeURIComponent(secret), '[secret]');
    }
    struck = struck
      .replace(PRIVATE_KEY, '[secret]')
      .replace(SECRET_FIELD, (_whole, field: string, value: string) =>
        value.startsWith('"') ? `${field}"[secret]"` : `${field}[secret]`,
      )
      .replace(USER_IN_URL, '$1[secret]@')
      .replace(NAME_ROUTE, '$1[name]')
      .replace(HEX_ID, (id) => `[id ${this.numberOf(id.toLowerCase())}]`);
    return this.names === undefined ? struck : struck.replace(this.names, '[name]');
  }

  private numberOf(id: string): number {
    const number = this.ids.get(id) ?? this.ids.size + 1;
    this.ids.set(id, number);
    return number;
  }
}

function escaped(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/]/g, '\\$&');
}
