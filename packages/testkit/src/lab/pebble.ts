import { execFileSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onProcessEnd } from './cleanup.js';
import type { Host } from './lan.js';
import type { ManagedProcess } from './managed-process.js';

const PORT = 14_000;
const MANAGEMENT_PORT = 15_000;
const DNS_PORT = 8053;
/** So many of a hundred good nonces are refused: a client has to come back with another. */
const REJECTED_NONCES = 30;

export interface PebbleOptions {
  /** Where all names lead. */
  readonly names: string;
  /** Life of a certificate, seconds. */
  readonly lifeSeconds: number;
}

/**
 * A real Pebble of Debian, Let's Encrypt's directory for tests (RFC 8555), with a name server of its own. Its root is new
 * at every start.
 */
export class Pebble {
  /** URL of the directory. */
  readonly directory: string;
  /** File (PEM) of who vouches for the directory's own HTTPS. */
  readonly authority: string;
  /** File (PEM) of the root of what it issues. */
  readonly root: string;
  private readonly processes: readonly ManagedProcess[];
  private readonly remove: () => void;

  private constructor(directory: string, folder: string, processes: readonly ManagedProcess[], remove: () => void) {
    this.directory = directory;
    this.authority = join(folder, 'pebble.crt');
    this.root = join(folder, 'root.pem');
    this.processes = processes;
    this.remove = remove;
  }

  static async start(host: Host, { names, lifeSeconds }: PebbleOptions): Promise<Pebble> {
    const folder = mkdtempSync(join(tmpdir(), 'atoll-pebble-'));
    const remove = onProcessEnd(() => rmSync(folder, { recursive: true, force: true }));
    const processes: ManagedProcess[] = [];
    try {
      const [certificate, privateKey] = [join(folder, 'pebble.crt'), join(folder, 'pebble.key')];
      const made = ['req', '-x509', '-nodes', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-days', '2'];
      const name = ['-subj', '/CN=pebble', '-addext', `subjectAltName=IP:${host.address}`];
      execFileSync('openssl', [...made, ...name, '-keyout', privateKey, '-out', certificate], { stdio: 'ignore' });
      const configuration = {
        listenAddress: `${host.address}:${PORT}`,
        managementListenAddress: `${host.address}:${MANAGEMENT_PORT}`,
        certificate,
        privateKey,
        httpPort: 80,
        tlsPort: 443,
        certificateValidityPeriod: lifeSeconds,
      };
      writeFileSync(join(folder, 'pebble.json'), JSON.stringify({ pebble: configuration }));
      const off = ['http01', 'https01', 'tlsalpn01'].flatMap((kind) => [`-${kind}`, '']);
      const leads = ['-defaultIPv4', names, '-defaultIPv6', ''];
      const dns = host.spawn('pebble-challtestsrv', ['-dns01', `127.0.0.1:${DNS_PORT}`, ...leads, ...off]);
      processes.push(dns);
      await dns.waitForOutput(/Starting management server/);
      const pebble = host.spawn(
        'pebble',
        ['-config', join(folder, 'pebble.json'), '-strict', '-dnsserver', `127.0.0.1:${DNS_PORT}`],
        { PEBBLE_WFE_NONCEREJECT: String(REJECTED_NONCES), PEBBLE_VA_NOSLEEP: '1' },
      );
      processes.push(pebble);
      await pebble.waitForOutput(/ACME directory available/);
      const root = `https://${host.address}:${MANAGEMENT_PORT}/roots/0`;
      const asked = ['-sS', '--retry', '20', '--retry-connrefused', '--retry-delay', '1', '--cacert', certificate];
      host.exec('curl', ...asked, '-o', join(folder, 'root.pem'), root);
      return new Pebble(`https://${host.address}:${PORT}/dir`, folder, processes, remove);
    } catch (error) {
      for (const process of processes) await process.kill();
      remove();
      throw error;
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const process of this.processes) await process.stop();
    this.remove();
  }
}
