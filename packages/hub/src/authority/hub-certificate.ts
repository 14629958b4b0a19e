import { createPrivateKey, type KeyObject, X509Certificate } from 'node:crypto';
import { readFile, stat } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { createSecureContext } from 'node:tls';
import { AtollError, Endpoint, errorCode, errorMessage, type Logger } from '@atoll/base';
import { AcmeStore, type IssuedCertificate } from '../acme/acme-store.js';
import { type StateDirectory, writeAtomically } from '../state-directory.js';
import type { Authority } from './authority.js';
import { newKey } from './issue.js';

/** Addresses and files are looked at so often, ms. */
const CHECK_EVERY_MS = 10_000;
/** A certificate of the own authority is renewed so long before its end, ms. */
const RENEW_BEFORE_MS = 60 * 24 * 60 * 60_000;
/** An operator is warned so long before the end of a certificate that the hub cannot renew, ms. */
const WARN_BEFORE_MS = 14 * 24 * 60 * 60_000;

/** What every service over TLS shows. */
export interface CurrentCertificate {
  /** PEM files, at the same place for as long as the hub runs. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly subject: string;
  /** DNS names and addresses that it is good for. */
  readonly names: readonly string[];
  readonly notAfterMs: number;
  /** The hub makes and renews it by itself. */
  readonly isOwnAuthority: boolean;
  /** An ACME directory issued it to the hub, which renews it by itself. */
  readonly isAcme: boolean;
}

export interface HubCertificateComponents {
  readonly state: StateDirectory;
  readonly logger: Logger;
  readonly unixMs: () => number;
  /** The own authority; undefined when only the operator's certificate counts. */
  readonly authority: Authority | undefined;
}

export interface HubCertificateOptions {
  /** The operator's own files; then the authority issues nothing. */
  readonly files?: { readonly certificate: string; readonly privateKey: string } | undefined;
  /** Certificates that an ACME directory issued are taken, and no others. */
  readonly isAcme?: boolean | undefined;
  /** Names and addresses of the hub at this moment, the most important first. */
  readonly names: () => readonly string[];
}

/**
 * The one certificate of the hub: the operator's, one that an ACME directory issued, or one of the hub's own authority
 * that follows the hub's names and addresses and renews itself. Services read its files and hear of changes; nothing
 * needs a restart.
 */
export class HubCertificate {
  private readonly parts: HubCertificateComponents;
  private readonly options: HubCertificateOptions;
  private readonly paths: { readonly certificate: string; readonly privateKey: string };
  private readonly listeners = new Set<() => void>();
  private readonly acme: AcmeStore;
  private shown: CurrentCertificate | undefined;
  private shownPem = '';
  private stamp = '';
  private timer: NodeJS.Timeout | undefined;
  private checking: Promise<void> | undefined;
  private isWarned = false;

  private constructor(parts: HubCertificateComponents, options: HubCertificateOptions) {
    this.parts = parts;
    this.options = options;
    this.acme = new AcmeStore(parts.state.path);
    this.paths = options.files ?? {
      certificate: parts.state.file('authority/hub.crt'),
      privateKey: parts.state.file('authority/hub.key'),
    };
  }

  /** Fails with `HUB_CERTIFICATE_UNUSABLE` and a sentence that names file, user and mode. */
  static async open(parts: HubCertificateComponents, options: HubCertificateOptions): Promise<HubCertificate> {
    const certificate = new HubCertificate(parts, options);
    await certificate.look();
    certificate.timer = setInterval(() => void certificate.check(), CHECK_EVERY_MS);
    certificate.timer.unref();
    return certificate;
  }

  get authority(): Authority | undefined {
    return this.parts.authority;
  }

  current(): CurrentCertificate {
    if (this.shown === undefined) throw new AtollError('HUB_CERTIFICATE_UNUSABLE', 'There is no certificate yet.');
    return this.shown;
  }

  /** Under which name clients over TLS come without a warning: the wanted one where the certificate has it. */
  hostFor(wanted: string): string {
    const { names, isOwnAuthority } = this.current();
    const isFitting = names.some((name) => name === wanted || name === `*${wanted.slice(wanted.indexOf('.'))}`);
    if (isOwnAuthority || isFitting) return wanted;
    return names.find((name) => !name.startsWith('*')) ?? wanted;
  }

  /** Hears of every new certificate; returns what ends that. */
  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** Looks at files, names and time now. What cannot be used is said in the log, and the old one goes on. */
  check(): Promise<void> {
    this.checking ??= this.look()
      .catch((error: unknown) => this.parts.logger.warn(`The certificate stays as it was: ${errorMessage(error)}`))
      .finally(() => {
        this.checking = undefined;
      });
    return this.checking;
  }

  /** Takes the operator's certificate (PEM, with its chain) in place of the own one. Fails as {@link open} does. */
  async install(certificate: string, privateKey: string): Promise<void> {
    if (this.options.files !== undefined) {
      throw new AtollError(
        'HUB_CERTIFICATE_FIXED',
        'The certificate is given by the settings certificate and privateKey; change those files.',
      );
    }
    if (this.options.isAcme) {
      throw new AtollError(
        'HUB_CERTIFICATE_FIXED',
        'The hub gets its certificate by ACME; take the setting acme-domain away to give it another.',
      );
    }
    this.usable(certificate, privateKey, 'that was sent');
    await this.checking;
    await this.place(certificate, privateKey);
    await this.check();
  }

  close(): void {
    clearInterval(this.timer);
    this.listeners.clear();
  }

  private async look(): Promise<void> {
    const { authority, logger } = this.parts;
    const { files } = this.options;
    let isNew = false;
    const issued = files === undefined ? await this.acme.issued() : undefined;
    if (issued !== undefined && this.options.isAcme && this.isGood(issued)) {
      if (issued.certificate !== this.shownPem) await this.place(issued.certificate, issued.privateKey);
    } else if (files === undefined) isNew = await this.renewOwn(issued?.certificate);
    const stamp = await this.stampOfFiles();
    if (!isNew && stamp === this.stamp) {
      this.warnOfEnd();
      return;
    }
    const certificate = await readPem(this.paths.certificate, 'certificate');
    const parsed = this.usable(
      certificate,
      await readPem(this.paths.privateKey, 'private key'),
      this.paths.certificate,
    );
    const isFirst = this.shown === undefined;
    this.stamp = stamp;
    this.shownPem = certificate;
    this.isWarned = false;
    const names = namesOf(parsed);
    // Public authorities leave the subject empty, and then there is none.
    const subject = (parsed.subject as string | undefined) ?? names.join('\n');
    this.shown = {
      ...this.paths,
      subject: subject.replaceAll('\n', ', '),
      names,
      notAfterMs: Date.parse(parsed.validTo),
      isOwnAuthority: authority?.hasIssued(parsed) ?? false,
      isAcme: certificate === issued?.certificate,
    };
    this.warnOfEnd();
    if (isFirst) return;
    logger.info(
      `The hub has a new certificate, good until ${new Date(this.shown.notAfterMs).toISOString().slice(0, 10)}.`,
    );
    for (const listener of this.listeners) listener();
  }

  /**
   * Issues a certificate when there is none of the own authority that fits; false when there was no need. One that came by
   * ACME (`fromAcme`) gives way: it is over, or no longer wanted.
   */
  private async renewOwn(fromAcme: string | undefined): Promise<boolean> {
    const { authority, unixMs } = this.parts;
    if (authority === undefined) return false;
    const wanted = authority.vouchable([...new Set(this.options.names())]);
    const present = await readFile(this.paths.certificate, 'utf8').catch((error: unknown) => {
      if (errorCode(error) === 'ENOENT') return undefined;
      throw error;
    });
    let key: KeyObject | undefined;
    if (present !== undefined) {
      const parsed = parse(present);
      // Not ours: the operator has put it there, who renews it, too, unless ACME is to.
      const isOperators = parsed !== undefined && !authority.hasIssued(parsed) && present !== fromAcme;
      if (isOperators && !(this.options.isAcme && Date.parse(parsed.validTo) <= unixMs())) return false;
      key = await readFile(this.paths.privateKey, 'utf8').then(createPrivateKey, () => undefined);
      if (parsed !== undefined && key !== undefined && parsed.checkPrivateKey(key)) {
        const names = namesOf(parsed);
        const isFitting = wanted.every((name) => names.includes(name));
        if (isFitting && Date.parse(parsed.validTo) - unixMs() > RENEW_BEFORE_MS) return false;
      }
    }
    if (key === undefined) {
      key = newKey();
      await writeAtomically(this.paths.privateKey, key.export({ type: 'pkcs8', format: 'pem' }).toString());
    }
    await writeAtomically(this.paths.certificate, await authority.issue(key, wanted, unixMs()));
    return true;
  }

  /** The key first: with the certificate both are whole. */
  private async place(certificate: string, privateKey: string): Promise<void> {
    await writeAtomically(this.paths.privateKey, privateKey);
    await writeAtomically(this.paths.certificate, certificate);
  }

  private isGood({ certificate, privateKey }: IssuedCertificate): boolean {
    try {
      this.usable(certificate, privateKey, 'by ACME');
      return true;
    } catch {
      return false;
    }
  }

  private usable(certificate: string, privateKey: string, what: string): X509Certificate {
    const parsed = parse(certificate);
    if (parsed === undefined) throw unusable(`The certificate ${what} is no PEM certificate.`);
    const nowMs = this.parts.unixMs();
    if (Date.parse(parsed.validTo) <= nowMs) {
      throw unusable(`The certificate ${what} expired on ${parsed.validTo}; renew it.`);
    }
    if (Date.parse(parsed.validFrom) > nowMs) {
      throw unusable(`The certificate ${what} is not valid before ${parsed.validFrom}; is the clock right?`);
    }
    try {
      createSecureContext({ cert: certificate, key: privateKey });
    } catch (cause) {
      throw unusable(`The certificate ${what} cannot be used with its private key: ${errorMessage(cause)}.`, cause);
    }
    return parsed;
  }

  private warnOfEnd(): void {
    const { logger, unixMs } = this.parts;
    if (this.shown === undefined || this.isWarned || this.shown.isOwnAuthority || this.shown.isAcme) return;
    if (this.shown.notAfterMs - unixMs() > WARN_BEFORE_MS) return;
    this.isWarned = true;
    logger.warn(
      `The certificate ${this.paths.certificate} ends on ${new Date(this.shown.notAfterMs).toISOString().slice(0, 10)}; renew it.`,
    );
  }

  private async stampOfFiles(): Promise<string> {
    const stamps = Object.values(this.paths).map(async (path) => {
      const facts = await stat(path).catch(() => undefined);
      return facts === undefined ? '' : `${facts.mtimeMs} ${facts.size} ${facts.ino}`;
    });
    return (await Promise.all(stamps)).join(';');
  }
}

function parse(pem: string): X509Certificate | undefined {
  try {
    return new X509Certificate(pem);
  } catch {
    return undefined;
  }
}

/** DNS names and addresses of a certificate, addresses in their shortest form. */
function namesOf(certificate: X509Certificate): string[] {
  return (certificate.subjectAltName ?? '').split(', ').flatMap((entry) => {
    const [kind, ...rest] = entry.split(':');
    const value = rest.join(':');
    if (kind === 'DNS') return [value.toLowerCase()];
    return kind === 'IP Address' ? [shortest(value)] : [];
  });
}

function shortest(address: string): string {
  return Endpoint.from(address, 0)?.host ?? address;
}

async function readPem(path: string, what: string): Promise<string> {
  try {
    return await readFile(path, 'utf8');
  } catch (cause) {
    const mode = await stat(path).then(
      (facts) => ` (its mode is 0${(facts.mode & 0o777).toString(8)})`,
      () => '',
    );
    throw unusable(`The ${what} ${path} cannot be read by ${userInfo().username}${mode}: ${errorCode(cause)}.`, cause);
  }
}

function unusable(sentence: string, cause?: unknown): AtollError {
  return new AtollError('HUB_CERTIFICATE_UNUSABLE', sentence, cause === undefined ? {} : { cause });
}
