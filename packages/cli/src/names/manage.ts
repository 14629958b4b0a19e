import { AtollError } from '@atoll/base';
import { toName } from '@atoll/name-server';
import { operator, type StoreOptions, withStore } from './store-options.js';

export interface ListOptions extends StoreOptions {
  readonly waiting?: boolean;
  readonly reserved?: boolean;
  readonly json?: boolean;
}

/** Names read at a time. */
const PAGE = 1000;

/** `atoll names list`: one name a line. */
export async function list(options: ListOptions): Promise<void> {
  const line = (facts: object, text: string): void =>
    void process.stdout.write(`${options.json ? JSON.stringify(facts) : text}\n`);
  await withStore(options, async (store) => {
    if (options.reserved) {
      for (const { name, note } of await store.reserved())
        line({ name, note }, note === '' ? name : `${name}  ${note}`);
      return;
    }
    for (let after = ''; ; ) {
      const page = await store.list({ after, limit: PAGE, onlyWaiting: options.waiting ?? false });
      for (const { name, address, isWaiting, registeredUnixMs } of page) {
        const registered = new Date(registeredUnixMs).toISOString();
        line(
          { name, id: address, registered, waiting: isWaiting },
          `${address}  ${name}${isWaiting ? '  (waiting)' : ''}`,
        );
      }
      if (page.length < PAGE) return;
      after = page.at(-1)?.name ?? '';
    }
  });
}

export interface ManageOptions extends StoreOptions {
  readonly json?: boolean;
}

/** `atoll names delete|approve|reject NAME…`. */
export async function change(
  kind: 'delete' | 'approve' | 'reject',
  names: readonly string[],
  options: ManageOptions,
): Promise<void> {
  await withStore(options, async (store) => {
    const missing: string[] = [];
    const done: string[] = [];
    for (const text of names) {
      const name = spelled(text);
      const isDone =
        kind === 'approve' ? await store.approve(name, operator()) : await store.remove(name, kind, operator());
      (isDone ? done : missing).push(name);
    }
    report(kind === 'delete' ? 'deleted' : kind === 'approve' ? 'approved' : 'rejected', done, options);
    if (missing.length > 0) {
      const what = kind === 'delete' ? 'registered' : 'waiting';
      throw new AtollError('NAMES_NOT_FOUND', `Not ${what} here: ${missing.join(', ')}.`);
    }
  });
}

/** `atoll names reserve NAME…`: nobody can register them, nor what looks like them. */
export async function reserve(
  names: readonly string[],
  options: ManageOptions & { readonly note?: string; readonly remove?: boolean },
): Promise<void> {
  await withStore(options, async (store) => {
    const spelledNames = names.map(spelled);
    const done: string[] = [];
    for (const name of spelledNames) {
      const isDone = options.remove
        ? await store.unreserve(name, operator())
        : await store.reserve(name, options.note ?? '', operator());
      if (isDone) done.push(name);
    }
    report(options.remove ? 'unreserved' : 'reserved', done, options);
  });
}

/** `atoll names log`: the newest changes, newest first. */
export async function log(options: ManageOptions & { readonly limit: string }): Promise<void> {
  await withStore(options, async (store) => {
    for (const { number, unixMs, kind, name, address, by } of await store.changes(Number(options.limit) || 0)) {
      const time = new Date(unixMs).toISOString();
      const text = `${time}  ${kind}  ${name}  ${address}  ${by}`;
      process.stdout.write(`${options.json ? JSON.stringify({ number, time, kind, name, id: address, by }) : text}\n`);
    }
  });
}

/** In the one spelling that is kept; what the rules of today refuse may still be there from before. */
function spelled(text: string): string {
  return toName(text, { allowsUnicode: true }) ?? text;
}

function report(verb: string, names: readonly string[], { json }: ManageOptions): void {
  if (json) process.stdout.write(`${JSON.stringify({ [verb]: names })}\n`);
  else if (names.length > 0) process.stdout.write(`${verb}: ${names.join(', ')}\n`);
}
