import { readFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { errorCode, UsageError } from '@atoll/base';
import { type Directive, directiveNamed, directiveOfLetter } from './directives.js';

/** Where coturn looks for its configuration. */
const CONFIG_PLACES = [
  'turnserver.conf',
  'etc/turnserver.conf',
  '/usr/local/etc/turnserver.conf',
  '/etc/turnserver.conf',
];
const OFF = /^(0|false|no|off)$/i;

/** Directives as they were given: the values of each in order; a switch that is on has one empty value. */
export class GivenDirectives {
  private readonly values: Map<string, string[]>;
  /** Directives that Atoll does not have, with where they stand. */
  readonly unsupported: { readonly directive: Directive; readonly where: string }[] = [];

  /** `values`: {@link everything} of another process. */
  constructor(values: ReadonlyMap<string, readonly string[]> = new Map()) {
    this.values = new Map([...values].map(([name, given]) => [name, [...given]]));
  }

  /** Everything that was given, for another process. */
  get everything(): ReadonlyMap<string, readonly string[]> {
    return this.values;
  }

  add(directive: Directive, value: string, where: string): void {
    if (directive.missing !== undefined) {
      this.unsupported.push({ directive, where });
      return;
    }
    const values = this.values.get(directive.name) ?? [];
    if (directive.value === undefined && OFF.test(value)) {
      this.values.delete(directive.name);
      return;
    }
    values.push(value);
    this.values.set(directive.name, values);
  }

  isOn(name: string): boolean {
    return this.values.has(name);
  }

  /** The value given last. */
  last(name: string): string | undefined {
    return this.values.get(name)?.at(-1);
  }

  all(name: string): readonly string[] {
    return this.values.get(name) ?? [];
  }

  /** A whole number; undefined when not given. */
  number(name: string, least: number, most: number): number | undefined {
    const text = this.last(name);
    if (text === undefined || text === '') return undefined;
    const number = /^\d+$/.test(text) ? Number(text) : Number.NaN;
    if (number >= least && number <= most) return number;
    throw new UsageError(`${name} takes a number from ${least} to ${most}, not “${text}”.`);
  }
}

/** Reads the command line and the configuration it names; what stands on the command line comes last and weighs more. */
export function readDirectives(args: readonly string[]): { given: GivenDirectives; file: string | undefined } {
  const commandLine: [Directive, string][] = [];
  readArguments(args, (directive, value) => commandLine.push([directive, value]));
  const of = (name: string): string | undefined => commandLine.find(([directive]) => directive.name === name)?.[1];
  const given = new GivenDirectives();
  const asked = of('config');
  const hasNoFile = ['no-config', 'help', 'version'].some((name) => of(name) !== undefined);
  const file = hasNoFile ? undefined : (asked ?? CONFIG_PLACES.find(isReadable));
  if (file !== undefined) readFile(file, given);
  for (const [directive, value] of commandLine) given.add(directive, value, `--${directive.name}`);
  return { given, file };
}

function readArguments(args: readonly string[], add: (directive: Directive, value: string) => void): void {
  for (let at = 0; at < args.length; at++) {
    const argument = args[at] ?? '';
    const take = (directive: Directive, attached: string | undefined): void => {
      if (directive.value === undefined || directive.isValueOptional) return add(directive, attached ?? '');
      const value = attached ?? args[++at];
      if (value === undefined) throw new UsageError(`--${directive.name} needs a value: ${directive.value}.`);
      add(directive, value);
    };
    const long = /^--([A-Za-z0-9_-]+)(?:=(.*))?$/s.exec(argument);
    if (long !== null) {
      const directive = directiveNamed(long[1] ?? '');
      if (directive === undefined) throw unknown(`--${long[1]}`);
      take(directive, long[2]);
    } else if (/^-[A-Za-z]/.test(argument)) {
      // Letters may be joined: -van, -p3478.
      for (let i = 1; i < argument.length; i++) {
        const directive = directiveOfLetter(argument[i] ?? '');
        if (directive === undefined) throw unknown(`-${argument[i]}`);
        const rest = argument.slice(i + 1);
        take(directive, directive.value !== undefined && rest !== '' ? rest.replace(/^=/, '') : undefined);
        if (directive.value !== undefined) break;
      }
    } else throw unknown(argument);
  }
}

function unknown(what: string): UsageError {
  return new UsageError(`${what}: there is no such option; “atoll turn -h” lists them.`);
}

function readFile(path: string, given: GivenDirectives): void {
  let text: string;
  try {
    text = readFileSync(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`The configuration ${path} cannot be read by ${userInfo().username}: ${errorCode(cause)}.`, {
      cause,
    });
  }
  text.split('\n').forEach((raw, index) => {
    const line = raw.trim();
    if (line === '' || line.startsWith('#')) return;
    const where = `${path}, line ${index + 1}`;
    const match = /^-{0,2}([A-Za-z0-9_-]+)(?:\s*=\s*|\s+|$)(.*)$/.exec(line);
    const directive = directiveNamed(match?.[1] ?? '');
    if (match === null || directive === undefined) {
      throw new UsageError(`${where}: there is no directive “${match?.[1] ?? line}”.`);
    }
    const value = (match[2] ?? '').trim().replace(/^"(.*)"$/s, '$1');
    if (directive.value !== undefined && !directive.isValueOptional && value === '') {
      throw new UsageError(`${where}: ${directive.name} needs a value: ${directive.value}.`);
    }
    given.add(directive, value, where);
  });
}

function isReadable(path: string): boolean {
  try {
    readFileSync(path);
    return true;
  } catch {
    return false;
  }
}
