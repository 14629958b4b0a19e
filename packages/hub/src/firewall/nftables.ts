import { UsageError } from '@atoll/base';
import type { Firewall, FirewallCommand, RunCommand } from './firewall.js';
import type { OpenPort } from './open-ports.js';
import { explanation, MARK, portText, ruleComment } from './rule-marks.js';

/** Our chain in each table, and what the jump to it is called. */
const CHAIN = 'atoll';
const USUAL_CHAIN = 'inet filter input';

interface BaseChain {
  readonly family: string;
  readonly table: string;
  readonly name: string;
}

interface Rule {
  readonly chain: string;
  readonly handle: number;
  readonly comment?: string;
  readonly expr: readonly Readonly<Record<string, unknown>>[];
}

/**
 * nftables. An accept in a table of our own would not help where another table drops, so that our rules go into the
 * chains that filter: a chain of ours in their table, and one jump to it.
 */
export const nftables: Firewall = {
  print(ports, { chain }) {
    const base = parseChain(chain ?? USUAL_CHAIN);
    return [
      '#!/usr/sbin/nft -f',
      `# Ports of Atoll, for the chain ${base.name} of the table ${base.family} ${base.table}. Run it once; --apply may be repeated.`,
      '# A rule that lets known connections go on (ct state established,related) is expected to be there.',
      `add chain ${inTable(base, CHAIN)}`,
      `flush chain ${inTable(base, CHAIN)}`,
      ...rulesFor(base, ports).flatMap(({ port, line }) => [`# ${explanation(port)}`, line]),
      `add rule ${inTable(base, base.name)} jump ${CHAIN} comment "${MARK}"`,
      '',
    ].join('\n');
  },
  async plan(ports, { chain }, run): Promise<FirewallCommand[]> {
    const bases = chain === undefined ? await inputChains(run) : [parseChain(chain)];
    const lines = (await Promise.all(bases.map((base) => planChain(base, ports, run)))).flat();
    return lines.length === 0 ? [] : [{ command: ['nft', '-f', '-'], input: `${lines.join('\n')}\n` }];
  },
};

async function planChain(base: BaseChain, ports: readonly OpenPort[], run: RunCommand): Promise<string[]> {
  const rules = listed(await run({ command: ['nft', '-j', '-a', 'list', 'table', base.family, base.table] }));
  const all = rules.flatMap(({ rule }) => (rule === undefined ? [] : [rule as Rule]));
  const hasChain = rules.some(({ chain }) => (chain as { name?: string } | undefined)?.name === CHAIN);
  const above = all.filter((rule) => rule.chain === base.name);
  const jump = above.find(({ comment }) => comment === MARK);
  if (ports.length === 0) {
    return [
      ...(jump === undefined ? [] : [`delete rule ${inTable(base, base.name)} handle ${jump.handle}`]),
      ...(hasChain ? [`flush chain ${inTable(base, CHAIN)}`, `delete chain ${inTable(base, CHAIN)}`] : []),
    ];
  }
  const wanted = rulesFor(base, ports);
  const present = all.filter((rule) => rule.chain === CHAIN).map(({ comment }) => comment);
  const isSame = wanted.map(({ port }) => ruleComment(port)).join('\n') === present.join('\n');
  if (isSame && jump !== undefined) return [];
  const end = above.find(isCatchAll);
  const place = end === undefined ? 'add rule' : 'insert rule';
  const where = end === undefined ? '' : ` position ${end.handle}`;
  return [
    `add chain ${inTable(base, CHAIN)}`,
    `flush chain ${inTable(base, CHAIN)}`,
    ...wanted.map(({ line }) => line),
    ...(jump === undefined ? [`${place} ${inTable(base, base.name)}${where} jump ${CHAIN} comment "${MARK}"`] : []),
  ];
}

function rulesFor(base: BaseChain, ports: readonly OpenPort[]): { port: OpenPort; line: string }[] {
  const family = base.family === 'ip' ? 4 : base.family === 'ip6' ? 6 : undefined;
  return ports
    .filter(({ families }) => family === undefined || families.includes(family))
    .map((port) => {
      const [only] = port.families;
      const of = family === undefined && port.families.length === 1 ? `meta nfproto ipv${only} ` : '';
      const match = `${of}${port.transport} dport ${portText(port, '-')} ct state new accept`;
      return { port, line: `add rule ${inTable(base, CHAIN)} ${match} comment "${ruleComment(port)}"` };
    });
}

/** Chains that filter what comes in, but for those that firewalld and iptables keep: they have formats of their own. */
async function inputChains(run: RunCommand): Promise<BaseChain[]> {
  const chains = listed(await run({ command: ['nft', '-j', 'list', 'chains'] }));
  return chains.flatMap(({ chain }) => {
    const { family, table, name, hook, type } = (chain ?? {}) as Record<string, string>;
    const isInput = hook === 'input' && type === 'filter' && ['inet', 'ip', 'ip6'].includes(family ?? '');
    const isOthers = table === 'firewalld' || (table === 'filter' && name === 'INPUT');
    return isInput && !isOthers ? [{ family: family ?? '', table: table ?? '', name: name ?? '' }] : [];
  });
}

function listed(json: string): Readonly<Record<string, unknown>>[] {
  const { nftables: found } = JSON.parse(json) as { nftables?: Readonly<Record<string, unknown>>[] };
  return found ?? [];
}

/** A rule without a condition that drops or rejects. */
function isCatchAll({ expr }: Rule): boolean {
  const kinds = expr.map((statement) => Object.keys(statement)[0] ?? '');
  return (
    kinds.every((kind) => ['counter', 'log', 'drop', 'reject'].includes(kind)) &&
    kinds.some((kind) => kind === 'drop' || kind === 'reject')
  );
}

function parseChain(text: string): BaseChain {
  const [family, table, name, ...more] = text.trim().split(/\s+/);
  if (!/^(inet|ip|ip6)$/.test(family ?? '') || table === undefined || name === undefined || more.length > 0) {
    throw new UsageError(`--chain takes FAMILY TABLE CHAIN, as “${USUAL_CHAIN}”, not “${text}”.`);
  }
  return { family: family ?? '', table, name };
}

function inTable({ family, table }: BaseChain, chain: string): string {
  return `${family} ${table} ${chain}`;
}
