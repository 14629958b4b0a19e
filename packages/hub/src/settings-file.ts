import { UsageError } from '@atoll/base';
import * as v from 'valibot';
import { stringify } from 'yaml';
import { type HubConfiguration, readFileSettings, SETTINGS } from './configuration.js';
import type { SettingFacts } from './portal/api.js';
import { writeAtomically } from './state-directory.js';

/** Settings that never come from the portal: the file that holds its changes lies in the state directory. */
const NEVER = new Set(['state']);
/** Settings that take effect at once. */
const AT_ONCE = new Set(['proxy', 'names', 'turn', 'hubName']);

/** The settings that the operator changed in the portal: a YAML file in the state directory. */
export class SettingsFile {
  private readonly path: string;
  private readonly fixed: ReadonlySet<string>;
  private readonly running: HubConfiguration;
  private changed: Record<string, unknown> = {};
  private writing: Promise<void> = Promise.resolve();

  private constructor(path: string, running: HubConfiguration, fixed: ReadonlySet<string>) {
    this.path = path;
    this.running = running;
    this.fixed = fixed;
  }

  static async open(path: string, running: HubConfiguration, fixed: ReadonlySet<string>): Promise<SettingsFile> {
    const file = new SettingsFile(path, running, fixed);
    file.changed = await readFileSettings(path, true);
    return file;
  }

  all(): SettingFacts[] {
    return Object.entries(SETTINGS).map(([key, { text }]) => ({
      key,
      value: textOf(this.value(key)),
      text,
      isFixed: this.isFixed(key),
      needsRestart: !AT_ONCE.has(key),
    }));
  }

  isFixed(key: string): boolean {
    return this.fixed.has(key) || NEVER.has(key);
  }

  /** The value that holds now or after the next start. */
  value(key: string): unknown {
    if (!this.isFixed(key) && key in this.changed) return this.changed[key];
    return this.running[key as keyof HubConfiguration];
  }

  /** Keeps changes, all or none; `null` takes one back. Fails with a usage error that names the setting. */
  change(changes: Readonly<Record<string, unknown>>): Promise<void> {
    const done = this.writing.then(async () => {
      const changed = { ...this.changed };
      for (const [key, value] of Object.entries(changes)) {
        const entry = Object.hasOwn(SETTINGS, key) ? SETTINGS[key as keyof typeof SETTINGS] : undefined;
        if (entry === undefined) throw new UsageError(`There is no setting “${key}”.`);
        if (this.isFixed(key)) {
          throw new UsageError(`${key} was given when the hub was started; change it there.`);
        }
        if (value === null) {
          delete changed[key];
          continue;
        }
        const checked = v.safeParse(entry.schema as v.GenericSchema, value);
        if (!checked.success) throw new UsageError(`${key}: ${checked.issues[0].message}.`);
        changed[key] = checked.output;
      }
      await writeAtomically(this.path, Object.keys(changed).length === 0 ? '{}\n' : stringify(changed));
      this.changed = changed;
    });
    this.writing = done.catch(() => {});
    return done;
  }
}

function textOf(value: unknown): string {
  if (value === undefined) return '';
  return Array.isArray(value) ? value.join(',') : String(value);
}
