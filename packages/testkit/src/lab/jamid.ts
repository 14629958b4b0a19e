import { rmSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onProcessEnd } from './cleanup.js';
import { eventually } from './deadline.js';
import type { Host } from './lan.js';
import { ManagedProcess } from './managed-process.js';
import { SessionBus } from './session-bus.js';

const SERVICE = 'cx.ring.Ring';
const CONFIGURATION = '/cx/ring/Ring/ConfigurationManager';

export interface JamidOptions {
  /** Who it is. */
  readonly displayName: string;
  /** Bootstrap setting of the account; empty for none. */
  readonly bootstrap: string;
  /** Further account settings by Jami's keys, e.g. `DHT.publicInCalls`, `Account.peerDiscovery`. */
  readonly settings?: Readonly<Record<string, string>>;
  /** Environment of the daemon, e.g. `CA_ROOT_FILE`: authorities (PEM) of HTTPS servers that it believes. */
  readonly env?: Readonly<Record<string, string>>;
}

/**
 * A real Jami daemon (Debian jami-daemon 13.7) with one account, on a host of a LAN without IPv6.
 *
 * ```ts
 * await using alice = await Jamid.start(lan.host(0), { displayName: 'alice', bootstrap: '10.77.9.3:4222' });
 * await using bob = await Jamid.start(lan.host(1), { displayName: 'bob', bootstrap: '10.77.9.3:4222' });
 * const conversation = await alice.becomeContactOf(bob);
 * await alice.sendText(conversation, 'hi');
 * await bob.waitForText('hi');
 * ```
 */
export class Jamid {
  readonly account: string;
  private readonly host: Host;
  private readonly folder: string;
  private readonly options: JamidOptions;
  private readonly busDaemon: ManagedProcess;
  private readonly remove: () => void;
  private running: RunningDaemon;
  private known: string | undefined;

  private constructor(
    host: Host,
    folder: string,
    options: JamidOptions,
    account: string,
    running: RunningDaemon,
    busDaemon: ManagedProcess,
    remove: () => void,
  ) {
    this.host = host;
    this.folder = folder;
    this.options = options;
    this.account = account;
    this.running = running;
    this.busDaemon = busDaemon;
    this.remove = remove;
  }

  /** Starts the daemon, makes the account and waits until it is registered. */
  static async start(host: Host, options: JamidOptions): Promise<Jamid> {
    // Short, because a socket's path is limited to about a hundred characters.
    const folder = await mkdtemp(join(tmpdir(), 'jamid-'));
    const remove = onProcessEnd(() => rmSync(folder, { recursive: true, force: true }));
    await mkdir(join(folder, 'run'), { mode: 0o700 });
    const busDaemon = new ManagedProcess('dbus-daemon', 'dbus-daemon', [
      '--session',
      `--address=unix:path=${join(folder, 'bus')}`,
      '--nofork',
      '--nopidfile',
      '--print-address=1',
    ]);
    await busDaemon.waitForOutput(/unix:path=/, 10_000);
    const running = await runDaemon(host, folder, options.env);
    const account = await createAccount(running.bus, options);
    const jamid = new Jamid(host, folder, options, account, running, busDaemon, remove);
    try {
      await jamid.waitForState('REGISTERED');
      await jamid.waitUntilAnnounced();
    } catch (error) {
      await jamid[Symbol.asyncDispose]();
      throw error;
    }
    return jamid;
  }

  /** The bus of the daemon that runs now. */
  get bus(): SessionBus {
    return this.running.bus;
  }

  /** The log of the daemon that runs now. */
  get log(): string {
    return this.running.daemon.output;
  }

  /** Ends the daemon in order, as a phone's system ends an app. */
  async fallAsleep(): Promise<void> {
    this.running.bus.close();
    await this.running.daemon.stop();
  }

  /**
   * Starts the daemon again with the same account, and waits until that is registered.
   *
   * @param saved Settings that the daemon reads from its file only, by the names they have there, e.g. `proxyPushToken`.
   */
  async wakeUp(saved: Readonly<Record<string, string>> = {}): Promise<void> {
    const path = join(this.folder, 'data', 'jami', this.account, 'config.yml');
    const lines = (await readFile(path, 'utf8')).split('\n').filter((line) => !((line.split(':')[0] ?? '') in saved));
    for (const [name, value] of Object.entries(saved)) lines.unshift(`${name}: ${JSON.stringify(value)}`);
    await writeFile(path, lines.join('\n'));
    this.running = await runDaemon(this.host, this.folder, this.options.env);
    await this.waitForState('REGISTERED');
  }

  /** Waits until its device is on the DHT: registered it is sooner, and who asks for it then finds no device. */
  private async waitUntilAnnounced(): Promise<void> {
    await this.bus.waitFor(
      'volatileAccountDetailsChanged',
      (args) => args[0] === this.account && asMap(args[1])['Account.deviceAnnounced'] === 'true',
    );
  }

  /** Waits for a registration state, past ones included. */
  async waitForState(state: string, limitMs = 60_000, account = this.account): Promise<void> {
    await this.bus.waitFor('registrationStateChanged', (args) => args[0] === account && args[1] === state, limitMs);
  }

  /** Makes one more account of the same settings, registered; its local id. */
  async addAccount(displayName: string): Promise<string> {
    const account = await createAccount(this.bus, { ...this.options, displayName });
    await this.waitForState('REGISTERED', 60_000, account);
    return account;
  }

  /** Certificate chain of the account's device, PEM. */
  async deviceCertificate(): Promise<string> {
    return readFile(join(this.folder, 'data', 'jami', this.account, 'ring_device.crt'), 'utf8');
  }

  /** Jami id of an account of this daemon. */
  async uriOf(account: string): Promise<string> {
    return asMap(await this.call('getAccountDetails', 's', [account]))['Account.username'] ?? '';
  }

  /** The account's Jami id, 40 hex digits. */
  async uri(): Promise<string> {
    this.known ??= await this.uriOf(this.account);
    return this.known;
  }

  /** Asks another to become a contact; resolves to the conversation when both are in it. */
  async becomeContactOf(other: Jamid): Promise<string> {
    const own = await this.uri();
    const theirs = await other.uri();
    const before = await other.conversations();
    await this.call('addContact', 'ss', [this.account, theirs]);
    await this.call('sendTrustRequest', 'ssay', [this.account, theirs, []]);
    await other.bus.waitFor('incomingTrustRequest', (args) => args.includes(own), 90_000);
    // The daemon announces the request before it has stored the conversation's: accepted sooner, that one is not found.
    await other.bus.waitFor('conversationRequestReceived', (args) => asMap(args[2]).from === own, 90_000);
    await other.call('acceptTrustRequest', 'ss', [other.account, own]);
    const isNew = (args: readonly unknown[]): boolean => !before.includes(String(args[1]));
    const [, conversation] = await other.bus.waitFor('conversationReady', isNew, 90_000);
    await this.bus.waitFor('conversationMemberEvent', (args) => args[1] === conversation, 90_000);
    return String(conversation);
  }

  /** Ids of the account's conversations. */
  async conversations(): Promise<string[]> {
    const ids = await this.call('getConversations', 's', [this.account]);
    return Array.isArray(ids) ? ids.map(String) : [];
  }

  async sendText(conversation: string, text: string): Promise<void> {
    await this.call('sendMessage', 'ssssi', [this.account, conversation, text, '', 0]);
  }

  /** Waits until a message with this text is there. */
  async waitForText(text: string, limitMs = 60_000): Promise<void> {
    await this.bus.waitFor('messageReceived', (args) => asMap(args[2]).body === text, limitMs);
  }

  /** Changes settings of the account. */
  async set(settings: Readonly<Record<string, string>>): Promise<void> {
    const details = { ...asMap(await this.call('getAccountDetails', 's', [this.account])), ...settings };
    await this.call('setAccountDetails', 'sa{ss}', [this.account, Object.entries(details)]);
  }

  private async keepLog(): Promise<void> {
    if (LOG_FOLDER === undefined) return;
    await mkdir(LOG_FOLDER, { recursive: true });
    await writeFile(join(LOG_FOLDER, `jamid-${process.pid}-${this.account}.log`), this.log);
  }

  call(member: string, signature = '', args: unknown[] = []): Promise<unknown> {
    return this.bus.call(SERVICE, CONFIGURATION, member, signature, args);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.running.bus.close();
    await this.running.daemon.kill();
    await this.keepLog();
    await this.busDaemon.kill();
    this.remove();
  }
}

/** Where the logs of daemons are kept, for those who look into a test that failed. */
const LOG_FOLDER = process.env.ATOLL_LAB_LOGS;

async function createAccount(bus: SessionBus, options: JamidOptions): Promise<string> {
  const template = asMap(await bus.call(SERVICE, CONFIGURATION, 'getAccountTemplate', 's', ['RING']));
  const details: Record<string, string> = {
    ...template,
    'Account.hostname': options.bootstrap,
    'Account.alias': options.displayName,
    'Account.displayName': options.displayName,
    'Account.upnpEnabled': 'false',
    'TURN.enable': 'false',
    'Account.peerDiscovery': 'false',
    'Account.accountDiscovery': 'false',
    'Account.accountPublish': 'false',
    ...options.settings,
  };
  return String(await bus.call(SERVICE, CONFIGURATION, 'addAccount', 'a{ss}', [Object.entries(details)]));
}

interface RunningDaemon {
  readonly daemon: ManagedProcess;
  readonly bus: SessionBus;
}

/** The daemon of a home folder, once it has taken its name on the bus. */
async function runDaemon(host: Host, folder: string, env: JamidOptions['env'] = {}): Promise<RunningDaemon> {
  const busPath = join(folder, 'bus');
  const daemon = host.spawn('/usr/libexec/jamid', ['-c', '-d', '-p'], {
    HOME: folder,
    XDG_RUNTIME_DIR: join(folder, 'run'),
    XDG_CONFIG_HOME: join(folder, 'config'),
    XDG_DATA_HOME: join(folder, 'data'),
    XDG_CACHE_HOME: join(folder, 'cache'),
    DBUS_SESSION_BUS_ADDRESS: `unix:path=${busPath}`,
    ...env,
  });
  const bus = await SessionBus.connect(busPath);
  const hasName = async (): Promise<boolean> =>
    Boolean(await bus.call('org.freedesktop.DBus', '/org/freedesktop/DBus', 'NameHasOwner', 's', [SERVICE]));
  await eventually(hasName, 'jamid did not take its name on the bus', 30_000);
  return { daemon, bus };
}

/** A map of strings as the bus gives it: an array of pairs. */
function asMap(pairs: unknown): Record<string, string> {
  return Array.isArray(pairs) ? Object.fromEntries(pairs) : {};
}
