const BLOCK_BYTES = 512;
const NAME_BYTES = 100;
/** Largest size that eleven octal digits say. */
const MAX_FILE_BYTES = 8 * 1024 ** 3 - 1;

/** A file of an archive. */
export interface ArchivedFile {
  /** Relative, with `/`. */
  readonly path: string;
  readonly bytes: Buffer;
}

/** A tar archive (POSIX ustar) of files that only their owner reads: any `tar` opens it, also without Atoll. */
export function encodeArchive(files: readonly ArchivedFile[]): Buffer {
  const parts: Buffer[] = [];
  for (const { path, bytes } of files) {
    if (Buffer.byteLength(path) > NAME_BYTES) throw new RangeError(`${path} is too long a name for an archive`);
    if (bytes.length > MAX_FILE_BYTES) throw new RangeError(`${path} is too large for an archive`);
    parts.push(header(path, bytes.length), bytes, Buffer.alloc(-bytes.length & (BLOCK_BYTES - 1)));
  }
  return Buffer.concat([...parts, Buffer.alloc(2 * BLOCK_BYTES)]);
}

/** The files of an archive that {@link encodeArchive} made; undefined when it is damaged. */
export function decodeArchive(archive: Buffer): ArchivedFile[] | undefined {
  const files: ArchivedFile[] = [];
  for (let at = 0; at + BLOCK_BYTES <= archive.length; ) {
    const block = archive.subarray(at, at + BLOCK_BYTES);
    if (block.every((byte) => byte === 0)) return files;
    const path = text(block, 0, NAME_BYTES);
    const sizeBytes = Number.parseInt(text(block, 124, 12), 8);
    if (!block.equals(header(path, sizeBytes))) return undefined;
    at += BLOCK_BYTES;
    if (at + sizeBytes > archive.length) return undefined;
    files.push({ path, bytes: archive.subarray(at, at + sizeBytes) });
    at += Math.ceil(sizeBytes / BLOCK_BYTES) * BLOCK_BYTES;
  }
  return undefined;
}

/** Name, mode, owner, group, size, time, checksum, kind, magic: the fields that are not empty. */
function header(path: string, sizeBytes: number): Buffer {
  const block = Buffer.alloc(BLOCK_BYTES);
  const octal = (value: number, digits: number): string => value.toString(8).padStart(digits, '0');
  block.write(path, 0);
  block.write(`${octal(0o600, 7)}\0${octal(0, 7)}\0${octal(0, 7)}\0${octal(sizeBytes, 11)}\0${octal(0, 11)}\0`, 100);
  block.write('        0', 148);
  block.write('ustar\x0000', 257);
  const sum = block.reduce((total, byte) => total + byte, 0);
  block.write(`${octal(sum, 6)}\0 `, 148);
  return block;
}

function text(block: Buffer, from: number, length: number): string {
  const field = block.subarray(from, from + length);
  const end = field.indexOf(0);
  return field.toString('utf8', 0, end < 0 ? length : end);
}
