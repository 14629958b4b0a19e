import { createHash, randomBytes, scrypt } from 'node:crypto';
import { promisify } from 'node:util';
import { gunzip, gzip } from 'node:zlib';
import { AtollError } from '@atoll/base';
import { decryptAesGcm, encryptAesGcm } from '@atoll/identity';
import { type ArchivedFile, decodeArchive, encodeArchive } from './tape-archive.js';

/** First in the archive: what should be in it. */
const MANIFEST = 'MANIFEST.json';
/** What a backup with a password begins with; then salt, IV, the sealed archive and its tag. */
const SEALED_MAGIC = Buffer.from('ATOLL-SEALED-1\n');
const SALT_BYTES = 16;
/** RFC 7914, with the cost that its author gives for files: a tenth of a second, 64 MiB. */
const SCRYPT = { N: 1 << 16, r: 8, p: 1, maxmem: 128 * 1024 * 1024 };
const KEY_BYTES = 32;
/** Bytes of everything in a backup, unpacked: a file that unpacks to more is no state of a hub. */
const MAX_UNPACKED_BYTES = 2 ** 32 - 1;

interface Manifest {
  readonly format: 'atoll-state';
  readonly version: 1;
  readonly files: readonly { readonly path: string; readonly bytes: number; readonly sha256: string }[];
}

/** One file of all files: a compressed tar archive with a manifest, sealed when there is a password. */
export async function encodeBackup(files: readonly ArchivedFile[], password: string | undefined): Promise<Buffer> {
  const manifest: Manifest = {
    format: 'atoll-state',
    version: 1,
    files: files.map(({ path, bytes }) => ({ path, bytes: bytes.length, sha256: sha256(bytes) })),
  };
  const described = { path: MANIFEST, bytes: Buffer.from(`${JSON.stringify(manifest, undefined, 1)}\n`) };
  const packed = await promisify(gzip)(encodeArchive([described, ...files]));
  if (password === undefined) return packed;
  const salt = randomBytes(SALT_BYTES);
  return Buffer.concat([SEALED_MAGIC, salt, encryptAesGcm(await keyOf(password, salt), packed)]);
}

/**
 * The files of a backup, each as it was. Fails with `BACKUP_PASSWORD` when it needs a password or another one, and with
 * `BACKUP_DAMAGED` when anything in it is not what the manifest says.
 */
export async function decodeBackup(backup: Buffer, password: string | undefined): Promise<readonly ArchivedFile[]> {
  const archive = await unpack(await unseal(backup, password));
  const [described, ...files] = decodeArchive(archive) ?? [];
  const manifest = described?.path === MANIFEST ? readManifest(described.bytes) : undefined;
  if (manifest === undefined) throw damaged();
  const isWhole =
    files.length === manifest.files.length &&
    manifest.files.every(({ path, sha256: wanted }, at) => {
      const file = files[at];
      return file !== undefined && file.path === path && isInside(path) && sha256(file.bytes) === wanted;
    });
  if (!isWhole) throw damaged();
  return files;
}

async function unseal(backup: Buffer, password: string | undefined): Promise<Buffer> {
  if (!backup.subarray(0, SEALED_MAGIC.length).equals(SEALED_MAGIC)) return backup;
  if (password === undefined) {
    throw new AtollError('BACKUP_PASSWORD', 'The backup is sealed with a password; give it with --password-file.');
  }
  const sealed = backup.subarray(SEALED_MAGIC.length);
  const key = await keyOf(password, sealed.subarray(0, SALT_BYTES));
  const packed = decryptAesGcm(key, sealed.subarray(SALT_BYTES));
  if (packed === undefined) {
    throw new AtollError('BACKUP_PASSWORD', 'The backup does not open: it has another password, or it is damaged.');
  }
  return packed;
}

async function unpack(packed: Buffer): Promise<Buffer> {
  try {
    return await promisify(gunzip)(packed, { maxOutputLength: MAX_UNPACKED_BYTES });
  } catch (cause) {
    throw damaged(cause);
  }
}

function readManifest(bytes: Buffer): Manifest | undefined {
  try {
    const manifest = JSON.parse(bytes.toString()) as Partial<Manifest>;
    const isKnown = manifest.format === 'atoll-state' && manifest.version === 1 && Array.isArray(manifest.files);
    return isKnown ? (manifest as Manifest) : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a path leads to a place below where it is unpacked. */
function isInside(path: string): boolean {
  return !path.includes('\\') && path.split('/').every((part) => !['', '.', '..'].includes(part));
}

function keyOf(password: string, salt: Buffer): Promise<Buffer> {
  return new Promise((resolve, reject) => {
    scrypt(password, salt, KEY_BYTES, SCRYPT, (error, key) => (error === null ? resolve(key) : reject(error)));
  });
}

function sha256(bytes: Buffer): string {
  return createHash('sha256').update(bytes).digest('hex');
}

function damaged(cause?: unknown): AtollError {
  return new AtollError('BACKUP_DAMAGED', 'This is no backup of a hub, or it is damaged; nothing was restored.', {
    cause,
  });
}
