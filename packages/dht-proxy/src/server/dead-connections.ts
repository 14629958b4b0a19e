import { readFile } from 'node:fs/promises';
import { Endpoint } from '@atoll/base';

/** Retransmissions without any answer that count as a dead path: the sixth comes after 12 s at the least. */
const DEAD_RETRANSMISSIONS = 6;
const TABLES = ['/proc/net/tcp', '/proc/net/tcp6'] as const;
/** Columns of the kernel's table (proc_pid_net(5)). */
const REMOTE_COLUMN = 2;
const RETRANSMISSIONS_COLUMN = 6;

/**
 * The remote ends, `address:port` as Node writes them, of connections whose data nobody acknowledges. Node cannot set
 * TCP's own limit for this (RFC 5482), but Linux shows the retransmissions of every connection; elsewhere none is found.
 */
export async function deadConnections(): Promise<ReadonlySet<string>> {
  const tables = await Promise.all(TABLES.map((path) => readFile(path, 'latin1').catch(() => '')));
  return new Set(tables.flatMap(parseDead));
}

/** The dead ones of one table. */
export function parseDead(table: string): string[] {
  const dead: string[] = [];
  for (const line of table.split('\n')) {
    const columns = line.trim().split(/\s+/);
    const retransmissions = Number.parseInt(columns[RETRANSMISSIONS_COLUMN] ?? '', 16);
    if (!(retransmissions >= DEAD_RETRANSMISSIONS)) continue;
    const remote = remoteOf(columns[REMOTE_COLUMN] ?? '');
    if (remote !== undefined) dead.push(...remote);
  }
  return dead;
}

/** An address is written as words of the machine's byte order. An IPv4 peer of a dual-stack socket has two names. */
function remoteOf(text: string): string[] | undefined {
  const [hex = '', port = ''] = text.split(':');
  if (hex.length !== 8 && hex.length !== 32) return undefined;
  const bytes = Buffer.from(hex, 'hex');
  bytes.swap32();
  const endpoint = Endpoint.fromBytes(bytes, Number.parseInt(port, 16));
  const plain = `${endpoint.host}:${endpoint.port}`;
  return endpoint.family === 4 ? [plain, `::ffff:${plain}`] : [plain];
}
