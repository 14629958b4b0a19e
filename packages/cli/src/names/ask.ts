import { readFile } from 'node:fs/promises';
import { AtollError, errorMessage, UsageError } from '@atoll/base';
import { PrivateKey } from '@atoll/identity';
import { NameClient, splitNameUri, toAddress } from '@atoll/name-server';
import { readSecret } from './read-secret.js';

/** How a command is told which server to ask. */
export interface ServerOptions {
  readonly server?: string;
  readonly authority?: string;
  readonly json?: boolean;
}

export interface RegisterOptions extends ServerOptions {
  readonly key: string;
  readonly passwordFile?: string;
}

/** `atoll names lookup`: whom a name leads to, or the name of a Jami id. */
export async function lookup(text: string, options: ServerOptions): Promise<void> {
  const { name, server } = splitNameUri(text);
  const address = toAddress(name);
  const client = await clientOf(options, server);
  const found = address === undefined ? await client.lookup(name) : await client.lookupAddress(address);
  if (found.state === 'not-found') {
    const what = address === undefined ? `Nobody is called ${name}` : `${address} has no name`;
    throw new AtollError('NAMES_NOT_FOUND', `${what} at ${client.server}.`);
  }
  if (found.state === 'invalid') throw new AtollError('NAMES_INVALID', `${client.server}: ${found.reason}.`);
  if (found.state === 'error') throw new AtollError('NAMES_UNREACHABLE', found.reason);
  const facts = { name: found.name, id: found.address, signed: found.isSigned };
  if (options.json) process.stdout.write(`${JSON.stringify(facts)}\n`);
  else process.stdout.write(`${address === undefined ? found.address : found.name}\n`);
}

/** `atoll names register`: a name for the key of a Jami account. */
export async function register(name: string, options: RegisterOptions): Promise<void> {
  const client = await clientOf(options, undefined);
  const key = await readKey(options.key, options.passwordFile);
  if (!key.isRsa) throw new UsageError(`${options.key} is no RSA key; Jami accounts have RSA keys.`);
  const result = await client.register(name, key);
  if (result.state === 'taken') {
    throw new AtollError('NAMES_TAKEN', `${name} cannot be had at ${client.server}: ${result.reason}.`);
  }
  if (result.state === 'refused') {
    throw new AtollError('NAMES_REFUSED', `${client.server} refuses the registration of ${name}: ${result.reason}.`);
  }
  if (result.state === 'error') {
    throw new AtollError('NAMES_UNREACHABLE', `${name} was not registered: ${result.reason}`);
  }
  const facts = { name: name.toLowerCase(), id: key.publicKey.id.toString(), state: result.state };
  if (options.json) process.stdout.write(`${JSON.stringify(facts)}\n`);
  else if (result.state === 'waiting')
    process.stdout.write(`${facts.name} waits for approval by the server’s operator.\n`);
  else process.stdout.write(`${facts.name} now leads to ${facts.id}.\n`);
}

async function clientOf({ server, authority }: ServerOptions, named: string | undefined): Promise<NameClient> {
  const chosen = named ?? server ?? process.env.ATOLL_NAME_SERVER;
  if (chosen === undefined || chosen === '') {
    throw new UsageError('Name the server with --server, for example --server http://10.0.0.1:8000.');
  }
  return new NameClient({ server: chosen, authority: authority === undefined ? undefined : await read(authority) });
}

async function readKey(path: string, passwordFile: string | undefined): Promise<PrivateKey> {
  const password = passwordFile === undefined ? undefined : await readSecret(passwordFile);
  return PrivateKey.decode(await read(path), password);
}

async function read(path: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    throw new UsageError(`${path} cannot be read: ${errorMessage(cause)}`, { cause });
  }
}
