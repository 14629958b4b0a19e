import { createHash, createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from 'node:crypto';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { AtollError, errorCode, errorMessage } from '@atoll/base';
import { type StateDirectory, writeAtomically } from '../state-directory.js';
import { issueAuthority, issueLeaf, newKey } from './issue.js';
import { constraintsFor, isVouchable, type NameConstraints } from './name-constraints.js';

/**
 * The hub's own certificate authority. Its key never leaves the state directory, and its certificate says that it
 * vouches for local names and addresses only.
 */
export class Authority {
  /** PEM. */
  readonly certificate: string;
  readonly parsed: X509Certificate;
  private readonly key: KeyObject;
  private readonly constraints: NameConstraints;

  private constructor(certificate: string, key: KeyObject, constraints: NameConstraints) {
    this.certificate = certificate;
    this.parsed = new X509Certificate(certificate);
    this.key = key;
    this.constraints = constraints;
  }

  /**
   * Reads the authority, or makes it at the first start: `names` and `addresses` are what it may vouch for beside what is
   * local. Fails with `HUB_AUTHORITY_UNUSABLE`.
   */
  static async open(
    state: StateDirectory,
    names: readonly string[],
    addresses: readonly string[],
    nowMs: number,
  ): Promise<Authority> {
    await mkdir(state.file('authority'), { recursive: true, mode: 0o700 });
    const paths = { certificate: state.file('authority/atoll.crt'), key: state.file('authority/atoll.key') };
    const constraintsPath = state.file('authority/constraints.json');
    const certificate = await read(paths.certificate);
    if (certificate === undefined) {
      const key = newKey();
      const constraints = constraintsFor(names, addresses);
      const made = await issueAuthority(`Atoll ${names[0] ?? ''}`.trim(), key, constraints, nowMs);
      await writeAtomically(paths.key, key.export({ type: 'pkcs8', format: 'pem' }).toString());
      await writeAtomically(constraintsPath, `${JSON.stringify(constraints)}\n`);
      // Last: with it the authority is whole.
      await writeAtomically(paths.certificate, made);
      return new Authority(made, key, constraints);
    }
    try {
      const key = createPrivateKey((await read(paths.key)) ?? '');
      const constraints = JSON.parse((await read(constraintsPath)) ?? '') as NameConstraints;
      const authority = new Authority(certificate, key, constraints);
      if (!authority.parsed.checkPrivateKey(key)) throw new Error('certificate and key do not belong together');
      if (Date.parse(authority.parsed.validTo) <= nowMs) throw new Error(`it expired on ${authority.parsed.validTo}`);
      return authority;
    } catch (cause) {
      throw new AtollError(
        'HUB_AUTHORITY_UNUSABLE',
        `The authority in ${state.file('authority')} cannot be used: ${errorMessage(cause)}. Put it back from a backup, or delete that folder: then a new one is made, which every device has to trust anew.`,
        { cause },
      );
    }
  }

  /** SHA-256 of the certificate, in pairs with colons. */
  get fingerprint(): string {
    return this.parsed.fingerprint256;
  }

  /** Those names and addresses that it may vouch for. */
  vouchable(namesAndAddresses: readonly string[]): string[] {
    return namesAndAddresses.filter((entry) => isVouchable(entry, this.constraints));
  }

  /** A certificate for a key, as PEM. */
  issue(key: KeyObject, namesAndAddresses: readonly string[], nowMs: number): Promise<string> {
    return issueLeaf({ certificate: this.certificate, privateKey: this.key }, key, namesAndAddresses, nowMs);
  }

  /** Whether it has signed a certificate. */
  hasIssued(certificate: X509Certificate): boolean {
    return certificate.verify(createPublicKey(this.key));
  }

  /** Apple's configuration profile with the certificate in it. */
  get mobileConfiguration(): string {
    const hash = createHash('sha256').update(this.parsed.raw).digest('hex').toUpperCase();
    const uuid = (from: number): string =>
      [8, 4, 4, 4, 12]
        .reduce<[string[], number]>(
          ([parts, at], length) => [[...parts, hash.slice(at, at + length)], at + length],
          [[], from],
        )[0]
        .join('-');
    const name = this.parsed.subject.replace(/^CN=/, '').replace(/[<>&]/g, '');
    return `<?xml version="1.0" encoding="UTF-8"?>
<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">
<plist version="1.0"><dict>
<key>PayloadType</key><string>Configuration</string>
<key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>atoll.${uuid(0)}</string>
<key>PayloadUUID</key><string>${uuid(0)}</string>
<key>PayloadDisplayName</key><string>${name}</string>
<key>PayloadContent</key><array><dict>
<key>PayloadType</key><string>com.apple.security.root</string>
<key>PayloadVersion</key><integer>1</integer>
<key>PayloadIdentifier</key><string>atoll.${uuid(0)}.root</string>
<key>PayloadUUID</key><string>${uuid(32)}</string>
<key>PayloadDisplayName</key><string>${name}</string>
<key>PayloadContent</key><data>${this.parsed.raw.toString('base64')}</data>
</dict></array>
</dict></plist>
`;
  }
}

/** A file of the state directory; undefined when it is not there. */
async function read(path: string): Promise<string | undefined> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    if (errorCode(cause) === 'ENOENT') return undefined;
    const mode = await stat(path).then(
      (facts) => ` (its mode is 0${(facts.mode & 0o777).toString(8)})`,
      () => '',
    );
    throw new AtollError(
      'HUB_AUTHORITY_UNUSABLE',
      `${path} cannot be read by ${userInfo().username}${mode}: ${errorCode(cause)}.`,
      { cause },
    );
  }
}
