import { type ChildProcess, fork } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { AtollError, type Logger, UsageError } from '@atoll/base';
import {
  type ListenerPlace,
  type ListenerPlaces,
  nativeDtls,
  openShared,
  type QuotaChange,
  sumStatistics,
  type TurnStatistics,
} from '@atoll/turn';
import { VERSION } from '../version.js';
import type { TurnConfiguration } from './configuration.js';
import { takeLesserRights } from './lesser-rights.js';
import type { TurnLog } from './log.js';
import { serveMetrics } from './metrics.js';
import { openStore } from './open-server.js';
import { ownCertificate } from './own-certificate.js';
import { writePidFile } from './pid-file.js';
import type { GivenDirectives } from './read-directives.js';
import { addChange, type ReservedPlace, type ToParent, type ToWorker } from './worker-messages.js';

const MAIN = fileURLToPath(new URL('./worker-main.js', import.meta.url));
/** Descriptors of a worker in front of its sockets: the three standard ones and the channel. */
const FIRST_DESCRIPTOR = 4;
/** A worker that ended is started again after this, twice as long each time, ms. */
const FIRST_PAUSE_MS = 200;
const MAX_PAUSE_MS = 30_000;
/** A worker that served so long had not failed at once: its next pause is the first one again, ms. */
const SOUND_MS = 60_000;
/** How long a worker may take to tell its figures, ms. */
const REPORT_MS = 2000;
/** The same for a reserved port, while a client waits. */
const QUESTION_MS = 1000;

/** Serves with several processes that share the ports; resolves to the exit code when all have ended. */
export async function serveInWorkers(
  given: GivenDirectives,
  configuration: TurnConfiguration,
  log: TurnLog,
): Promise<number> {
  const { logger } = log;
  const { server, workers: count, metricsPort, pidFile } = configuration;
  const ports = server.maxPort - server.minPort + 1;
  if (ports < count) throw new UsageError(`${count} relay-threads cannot share ${ports} relay ports; widen the range.`);
  const places = openShared(server, count);
  const workers = new Workers(logger);
  const metrics =
    metricsPort === undefined ? undefined : await serveMetrics(() => workers.statistics(), metricsPort, logger);
  if (configuration.lacksDtls) logger.warn(`DTLS is off: ${nativeDtls.reason ?? ''}. Clients use TLS or UDP`);
  takeLesserRights(configuration);
  const removePidFile = writePidFile(pidFile);
  // Made once, before every worker looks for them.
  await (await openStore(configuration))?.close();
  if (configuration.wantsTls && configuration.certificate === undefined) await ownCertificate();
  const nonceSecret = randomBytes(32);
  const share = Math.floor(ports / count);
  try {
    const listeners = await workers.start(
      places.map((own, index) => {
        const minPort = server.minPort + index * share;
        const maxPort = index === count - 1 ? server.maxPort : minPort + share - 1;
        return { directives: given.everything, places: own, minPort, maxPort, nonceSecret };
      }),
    );
    for (const listener of listeners) logger.info(listener);
    for (const signal of ['SIGHUP', 'SIGUSR2'] as const) {
      process.on(signal, () => {
        log.reopen();
        workers.signal(signal);
      });
    }
    process.once('SIGUSR1', () => workers.end('SIGUSR1'));
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.on(signal, () => workers.end(signal));
    logger.info(`Atoll ${VERSION} serves TURN in the realm ${server.realm} with ${count} processes`);
    await workers.ended;
  } finally {
    await workers.kill();
    await metrics?.close(0);
    removePidFile();
  }
  logger.info('Stopped');
  return 0;
}

type WorkerStart = Omit<ToWorker & { kind: 'start' }, 'kind'>;

/** One place among the workers, and the process that has it now. */
interface Seat {
  readonly number: number;
  readonly start: WorkerStart;
  child: ChildProcess | undefined;
  /** What its process took from the quotas. */
  readonly taken: Map<string, QuotaChange>;
  /** The figures that its process told last. */
  statistics: TurnStatistics | undefined;
  servesSinceMs: number | undefined;
  /** Whether a process ever served here: one that cannot begin ends the start. */
  hasServed: boolean;
  /** Whether its last allocation ended after it was told to drain. */
  isDrained: boolean;
  pauseMs: number;
}

/** The processes: starts them, starts those again that end, tells each what the others take from the quotas. */
class Workers {
  /** Resolves when all processes have ended after {@link end}. */
  readonly ended: Promise<void>;
  private readonly logger: Logger;
  private seats: readonly Seat[] = [];
  /** Sums of processes that are gone. */
  private past = sumStatistics([]);
  /** Questions about reserved ports whose answers are waited for. */
  private readonly questions = new Map<number, { asker: ChildProcess | undefined; number: number; waiting: number }>();
  private lastQuestion = 0;
  private isEnding = false;
  private allEnded: () => void = () => {};

  constructor(logger: Logger) {
    this.logger = logger;
    this.ended = new Promise((resolve) => {
      this.allEnded = resolve;
    });
  }

  /** Starts one process for each; resolves to the listeners of one when all serve, or throws what the first cannot. */
  async start(starts: readonly WorkerStart[]): Promise<readonly string[]> {
    this.seats = starts.map((start, index) => ({
      number: index + 1,
      start,
      child: undefined,
      taken: new Map(),
      statistics: undefined,
      servesSinceMs: undefined,
      hasServed: false,
      isDrained: false,
      pauseMs: FIRST_PAUSE_MS,
    }));
    const [listeners = []] = await Promise.all(this.seats.map((seat) => this.launch(seat)));
    return listeners;
  }

  /** Figures of all processes since the start. */
  async statistics(): Promise<TurnStatistics> {
    await Promise.all(this.seats.map((seat) => this.report(seat)));
    return sumStatistics([this.past, ...this.seats.flatMap(({ statistics }) => statistics ?? [])]);
  }

  signal(signal: NodeJS.Signals): void {
    for (const { child } of this.seats) child?.kill(signal);
  }

  /** Passes a signal on that ends the processes: none is started again. */
  end(signal: NodeJS.Signals): void {
    this.isEnding = true;
    this.signal(signal);
    this.look();
  }

  /** Ends what is still there. */
  async kill(): Promise<void> {
    this.isEnding = true;
    const left = this.seats.flatMap(({ child }) => child ?? []);
    this.signal('SIGKILL');
    await Promise.all(left.map((child) => once(child, 'exit')));
  }

  /** Starts the process of a seat; resolves when it serves, to its listeners. */
  private launch(seat: Seat): Promise<readonly string[]> {
    const { places, sockets } = inherited(seat.start.places);
    const child = fork(MAIN, [], {
      stdio: ['ignore', 'inherit', 'inherit', 'ipc', ...sockets],
      serialization: 'advanced',
    });
    seat.child = child;
    return new Promise((resolve, reject) => {
      const tell = (message: ToWorker): void => void child.send(message);
      let failure: AtollError | undefined;
      child.on('message', (message: ToParent) => {
        switch (message.kind) {
          case 'ready':
            tell({ kind: 'start', ...seat.start, places });
            return;
          case 'serving':
            seat.servesSinceMs = performance.now();
            seat.hasServed = true;
            tell({ kind: 'quotas', changes: this.seats.filter((other) => other !== seat).flatMap(takenBy) });
            resolve(message.listeners);
            return;
          case 'drained':
            seat.isDrained = true;
            this.look();
            return;
          case 'failed':
            failure = message.isUsage ? new UsageError(message.message) : new AtollError(message.code, message.message);
            return;
          case 'quotas':
            for (const change of message.changes) addChange(seat.taken, change);
            this.tellOthers(seat, message.changes);
            return;
          case 'find':
            this.find(seat, message.number, message.token, message.user);
            return;
          case 'given-away':
            this.found(message.number, message.place);
            return;
          case 'report':
            seat.statistics = message.statistics;
            child.emit('report');
        }
      });
      child.on('error', reject);
      child.once('exit', (code, signal) => {
        this.gone(seat, failure?.message ?? `it ended with ${signal ?? `exit code ${code}`}`);
        reject(
          failure ?? new AtollError('TURN_WORKER_FAILED', `A TURN worker ended at its start with ${signal ?? code}.`),
        );
      });
    });
  }

  /** A process ended: what it took is free again, and another one takes its seat after a while. */
  private gone(seat: Seat, why: string): void {
    const isSound = seat.servesSinceMs !== undefined && performance.now() - seat.servesSinceMs > SOUND_MS;
    seat.child = undefined;
    seat.servesSinceMs = undefined;
    const freed = takenBy(seat).map((change) => ({ ...change, allocations: -change.allocations, bps: -change.bps }));
    seat.taken.clear();
    this.tellOthers(seat, freed);
    if (seat.statistics !== undefined) {
      this.past = sumStatistics([this.past, { ...seat.statistics, allocations: new Map() }]);
      seat.statistics = undefined;
    }
    this.look();
    if (this.isEnding || !seat.hasServed) return;
    const pauseMs = isSound ? FIRST_PAUSE_MS : seat.pauseMs;
    seat.pauseMs = Math.min(MAX_PAUSE_MS, 2 * pauseMs);
    this.logger.error(`TURN worker ${seat.number}: ${why}; another one starts in ${pauseMs} ms`);
    setTimeout(() => {
      if (this.isEnding) return;
      this.launch(seat).then(
        () => this.logger.info(`TURN worker ${seat.number} serves again`),
        () => {},
      );
    }, pauseMs);
  }

  private look(): void {
    if (!this.isEnding) return;
    if (this.seats.every(({ child, isDrained }) => isDrained || child === undefined)) this.signal('SIGTERM');
    if (this.seats.every(({ child }) => child === undefined)) this.allEnded();
  }

  private tellOthers(seat: Seat, changes: readonly QuotaChange[]): void {
    if (changes.length === 0) return;
    for (const { child, servesSinceMs } of this.seats) {
      if (child !== seat.child && servesSinceMs !== undefined)
        child?.send({ kind: 'quotas', changes } satisfies ToWorker);
    }
  }

  /** A worker has no port for a RESERVATION-TOKEN: the others are asked. */
  private find(seat: Seat, number: number, token: Uint8Array, user: string): void {
    const others = this.seats.filter((other) => other !== seat && other.servesSinceMs !== undefined);
    const question = ++this.lastQuestion;
    this.questions.set(question, { asker: seat.child, number, waiting: others.length + 1 });
    // One that was asked may be gone: then nothing was found.
    setTimeout(() => this.answer(question, undefined), QUESTION_MS).unref();
    for (const { child } of others)
      child?.send({ kind: 'give-away', number: question, token, user } satisfies ToWorker);
    this.found(question, undefined);
  }

  private found(question: number, place: ReservedPlace | undefined): void {
    const asked = this.questions.get(question);
    if (asked !== undefined && (--asked.waiting === 0 || place !== undefined)) this.answer(question, place);
  }

  private answer(question: number, place: ReservedPlace | undefined): void {
    const asked = this.questions.get(question);
    this.questions.delete(question);
    asked?.asker?.send({ kind: 'found', number: asked.number, place } satisfies ToWorker);
  }

  private async report({ child, servesSinceMs }: Seat): Promise<void> {
    if (child === undefined || servesSinceMs === undefined) return;
    const told = once(child, 'report', { signal: AbortSignal.timeout(REPORT_MS) });
    child.send({ kind: 'report' } satisfies ToWorker);
    await told.catch(() => {});
  }
}

function takenBy({ taken }: Seat): QuotaChange[] {
  return [...taken.values()];
}

/** The sockets of a worker in a row, and its places with the descriptors that it finds them at. */
function inherited(places: ListenerPlaces): { places: ListenerPlaces; sockets: number[] } {
  const sockets: number[] = [];
  const moved = (all: readonly ListenerPlace[]): ListenerPlace[] =>
    all.map((place) => ({
      ...place,
      descriptor: FIRST_DESCRIPTOR - 1 + sockets.push(place.descriptor ?? -1),
    }));
  const { udp, tcp, tls, dtls, proxiedTcp } = places;
  return {
    places: { udp: moved(udp), tcp: moved(tcp), tls: moved(tls), dtls: moved(dtls), proxiedTcp: moved(proxiedTcp) },
    sockets,
  };
}
