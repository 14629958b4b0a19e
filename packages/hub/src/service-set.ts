import { AtollError, errorMessage } from '@atoll/base';
import type { ServiceFacts, ServiceName } from './portal/api.js';
import type { ReadyFacts } from './ready-facts.js';
import type { SettingsFile } from './settings-file.js';
import { type HubService, Supervisor, type SupervisorParts } from './supervisor.js';

/** All services of a hub, in the order in which they start. */
export class ServiceSet {
  private readonly parts: SupervisorParts & { readonly settings: SettingsFile };
  private readonly all = new Map<ServiceName, { readonly supervisor: Supervisor; readonly isWanted: boolean }>();

  constructor(parts: SupervisorParts & { readonly settings: SettingsFile }) {
    this.parts = parts;
  }

  add(name: ServiceName, isWanted: boolean, make: () => HubService): void {
    this.all.set(name, { supervisor: new Supervisor(make, this.parts), isWanted });
  }

  /** Starts those that are wanted, one after the other; `only` these, where it is given. Fails with the first that fails. */
  async start(only: readonly string[] | undefined): Promise<void> {
    for (const [name, { supervisor, isWanted }] of this.all) {
      if (!isWanted || only?.includes(name) === false) continue;
      await supervisor.start();
      await supervisor.probe();
    }
  }

  /** What the services that run say of themselves. */
  get facts(): Partial<ReadyFacts> {
    const running = [...this.all].filter(([, { supervisor }]) => supervisor.state.isOn);
    return Object.fromEntries(running.map(([name, { supervisor }]) => [name, supervisor.facts])) as Partial<ReadyFacts>;
  }

  states(): ServiceFacts[] {
    return [...this.all].map(([name, { supervisor }]) => factsOf(name, supervisor));
  }

  /**
   * Switches a service while the hub runs, and keeps that for the next start unless the command line says otherwise. Fails
   * with `HUB_SERVICE_STAYS` for what cannot be switched, or with what kept the service from starting.
   */
  async switchService(name: ServiceName, isOn: boolean): Promise<ServiceFacts> {
    const supervisor = this.all.get(name)?.supervisor;
    if (supervisor === undefined || name === 'portal' || name === 'dht') {
      throw new AtollError('HUB_SERVICE_STAYS', 'Only proxy, names and turn can be switched while the hub runs.');
    }
    const { settings, logger } = this.parts;
    if (isOn) {
      await supervisor.start();
      await supervisor.probe().catch((error: unknown) => logger.warn(`${name}: ${errorMessage(error)}`));
    } else await supervisor.stop();
    logger.info(`The operator switched the ${name} service ${isOn ? 'on' : 'off'}.`);
    if (!settings.isFixed(name)) await settings.change({ [name]: isOn });
    return factsOf(name, supervisor);
  }

  /** Whether every service that is on answers now. */
  async probeAll(): Promise<boolean> {
    const running = [...this.all.values()].filter(({ supervisor }) => supervisor.state.isOn);
    const probes = running.map(({ supervisor }) =>
      supervisor.probe().then(
        () => true,
        () => false,
      ),
    );
    return (await Promise.all(probes)).every((isWell) => isWell);
  }

  /** Stops all, the last first. */
  async stop(): Promise<void> {
    for (const { supervisor } of [...this.all.values()].reverse()) await supervisor.stop();
  }
}

function factsOf(name: ServiceName, { state }: Supervisor): ServiceFacts {
  const { isOn, isWell, sinceMs, restarts, lastError } = state;
  return {
    name,
    isOn,
    isWell,
    restarts,
    ...(sinceMs === undefined ? {} : { sinceMs }),
    ...(lastError === undefined ? {} : { lastError }),
  };
}
