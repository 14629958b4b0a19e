/** A chain of nftables, and whether packets go through it from one of the kernel's hooks. */
interface Chain {
  readonly table: string;
  readonly name: string;
  readonly hook: string | undefined;
  readonly priority: number;
  readonly policy: string | undefined;
  readonly rules: Expression[][];
}

type Expression = Readonly<Record<string, unknown>>;

/** Rules by the key of their chain, `family table chain`. */
export type NftRules = ReadonlyMap<string, Chain>;

/** Calls of chains from chains that are followed; nftables itself allows 16. */
const MAX_DEPTH = 16;

/** Reads `nft --json list ruleset` (libnftables-json(5)); what is not understood is left out. */
export function readNftRules(json: string): NftRules {
  const chains = new Map<string, Chain>();
  const parsed: unknown = JSON.parse(json);
  const entries = isObject(parsed) && Array.isArray(parsed.nftables) ? (parsed.nftables as unknown[]) : [];
  for (const entry of entries) {
    if (!isObject(entry)) continue;
    const { chain, rule } = entry;
    if (isObject(chain)) {
      const { family, table, name, hook, prio, policy } = chain;
      chains.set(`${family} ${table} ${name}`, {
        table: `${family} ${table}`,
        name: String(name),
        hook: typeof hook === 'string' ? hook : undefined,
        priority: typeof prio === 'number' ? prio : 0,
        policy: typeof policy === 'string' ? policy : undefined,
        rules: [],
      });
    } else if (isObject(rule) && Array.isArray(rule.expr)) {
      chains.get(`${rule.family} ${rule.table} ${rule.chain}`)?.rules.push((rule.expr as unknown[]).filter(isObject));
    }
  }
  return chains;
}

/**
 * The rule or policy that keeps a new packet to a port from passing a hook, in words; undefined when none does. Rules
 * that depend on more than protocol and port drop only some packets and are not counted; ones that accept are.
 */
export function blockingRule(
  chains: NftRules,
  hook: 'input' | 'output',
  protocol: 'udp' | 'tcp',
  port: number,
): string | undefined {
  const bases = [...chains.values()].filter((chain) => chain.hook === hook).sort((a, b) => a.priority - b.priority);
  for (const chain of bases) {
    const ended = walk(chains, chain, protocol, port, 0);
    const blocks = ended === undefined ? chain.policy === 'drop' : ended !== 'accept';
    if (blocks) return ended ?? `policy drop of chain ${chain.name} in table ${chain.table}`;
  }
  return undefined;
}

/** `accept`, the words of the rule that drops, or undefined when the packet comes to the chain's end. */
function walk(chains: NftRules, chain: Chain, protocol: string, port: number, depth: number): string | undefined {
  for (const rule of chain.rules) {
    const fit = fits(rule, protocol, port);
    if (fit === 'no') continue;
    for (const expression of rule) {
      if ('accept' in expression) return 'accept';
      if (fit === 'yes' && ('drop' in expression || 'reject' in expression)) {
        return `${'drop' in expression ? 'drop' : 'reject'} in chain ${chain.name} of table ${chain.table}`;
      }
      if ('return' in expression && fit === 'yes') return undefined;
      const call = expression.jump ?? expression.goto;
      if (!isObject(call) || depth >= MAX_DEPTH) continue;
      const called = chains.get(`${chain.table} ${call.target}`);
      const ended = called === undefined ? undefined : walk(chains, called, protocol, port, depth + 1);
      // What a chain drops that is entered under a condition is dropped under that condition only.
      if (ended === 'accept' || (ended !== undefined && fit === 'yes')) return ended;
    }
  }
  return undefined;
}

/** Whether a rule is for new packets to this port: only by protocol and port (yes), under other conditions too (maybe). */
function fits(rule: readonly Expression[], protocol: string, port: number): 'yes' | 'maybe' | 'no' {
  let fit: 'yes' | 'maybe' = 'yes';
  for (const { match, xt, limit } of rule) {
    if (xt !== undefined || limit !== undefined) fit = 'maybe';
    if (!isObject(match)) continue;
    const { left, op, right } = match;
    const isEqual = op === '==' || op === 'in';
    const known = isEqual && isObject(left) ? portOrProtocol(left) : undefined;
    if (known?.kind === 'protocol') {
      if (!contains(right, protocol)) return 'no';
    } else if (known?.kind === 'port') {
      if (known.protocol !== 'th' && known.protocol !== protocol) return 'no';
      if (!contains(right, port)) return 'no';
    } else if (isObject(left) && isObject(left.ct) && !contains(right, 'new')) return 'no';
    else if (isObject(left) && isObject(left.meta) && contains(right, 'lo')) return 'no';
    else fit = 'maybe';
  }
  return fit;
}

function portOrProtocol(left: Expression): { kind: 'port'; protocol: string } | { kind: 'protocol' } | undefined {
  const { payload, meta } = left;
  if (isObject(payload)) {
    if (payload.field === 'dport') return { kind: 'port', protocol: String(payload.protocol) };
    if (payload.field === 'protocol' || payload.field === 'nexthdr') return { kind: 'protocol' };
  }
  return isObject(meta) && meta.key === 'l4proto' ? { kind: 'protocol' } : undefined;
}

/** Whether the right side of a match holds a value: itself, a list, a set or a range. */
function contains(right: unknown, value: string | number): boolean {
  if (right === value) return true;
  if (Array.isArray(right)) return right.some((each) => contains(each, value));
  if (!isObject(right)) return false;
  if (Array.isArray(right.set)) return right.set.some((each) => contains(each, value));
  if (!Array.isArray(right.range) || typeof value !== 'number') return false;
  const [low, high] = right.range as unknown[];
  return Number(low) <= value && value <= Number(high);
}

function isObject(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
