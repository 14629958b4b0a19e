import { createPrivateKey, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { isIP } from 'node:net';
import { connect } from 'node:tls';
import { errorMessage } from '@atoll/base';
import type { Check } from '../check.js';
import { type Verdict, verdict } from '../finding.js';
import type { DoctorTarget } from '../target.js';
import { bracketed, portOf } from '../target.js';

const DAY_MS = 86_400_000;
/** A certificate that ends within so many days is to be renewed; one that lives for days only, in its last quarter. */
const SOON_DAYS = 14;
const LAST_PART = 1 / 4;

/** Judges one certificate for the name or address under which people come. */
export function judgeCertificate(
  certificate: X509Certificate,
  { place, host, unixMs }: { readonly place: string; readonly host: string; readonly unixMs: number },
): Verdict {
  const day = (text: string): string => new Date(text).toISOString().slice(0, 10);
  const until = day(certificate.validTo);
  const facts = { place, host, until };
  const leftMs = Date.parse(certificate.validTo) - unixMs;
  if (leftMs < 0) return verdict('fault', 'certificate-expired', facts);
  if (Date.parse(certificate.validFrom) > unixMs) {
    return verdict('fault', 'certificate-early', { ...facts, from: day(certificate.validFrom) });
  }
  const isFor = isIP(host) === 0 ? certificate.checkHost(host) : certificate.checkIP(host);
  if (isFor === undefined) {
    const names = certificate.subjectAltName?.replace(/DNS:|IP Address:/g, '') ?? certificate.subject;
    return verdict('fault', 'certificate-name', { ...facts, names });
  }
  const days = Math.floor(leftMs / DAY_MS);
  const lifeMs = Date.parse(certificate.validTo) - Date.parse(certificate.validFrom);
  if (leftMs < Math.min(SOON_DAYS * DAY_MS, lifeMs * LAST_PART))
    return verdict('warning', 'certificate-soon', { ...facts, days });
  return verdict('good', 'certificate-good', facts);
}

/** Certificates that are served over TLS; on the hub's own host its files, too. */
export const checkCertificate: Check = async (target, { limitMs, unixMs }) => {
  const { host, name = host, local } = target;
  const served = await Promise.all(
    tlsPorts(target).map(async (port): Promise<Verdict[]> => {
      const certificate = await fetchCertificate(host, port, name, limitMs);
      if (certificate === undefined) return [];
      // Who comes to a hub with a public certificate comes by a name that it has.
      const as = local?.acmeNames?.find((each) => certificate.checkHost(each) !== undefined) ?? name;
      return [judgeCertificate(certificate, { place: `${bracketed(as)}:${port}`, host: as, unixMs: unixMs() })];
    }),
  );
  const { acmeNames = [], acmeProblem } = local ?? {};
  const acme =
    acmeProblem === undefined
      ? []
      : [verdict('warning', 'certificate-acme', { names: acmeNames.join(', '), reason: acmeProblem })];
  return [...served.flat(), ...acme, ...(await judgeFiles(target, unixMs()))];
};

function tlsPorts({ proxy = [], names = [], turn }: DoctorTarget): number[] {
  const ports = [...proxy, ...names].filter((url) => url.startsWith('https:')).map(portOf);
  return [...new Set(turn?.tlsPort === undefined ? ports : [...ports, turn.tlsPort])];
}

function fetchCertificate(
  host: string,
  port: number,
  name: string,
  limitMs: number,
): Promise<X509Certificate | undefined> {
  return new Promise((resolve) => {
    const servername = isIP(name) === 0 ? { servername: name } : {};
    const socket = connect({ host, port, ...servername, rejectUnauthorized: false });
    const end = (certificate?: X509Certificate): void => {
      clearTimeout(late);
      socket.destroy();
      resolve(certificate);
    };
    const late = setTimeout(end, limitMs);
    socket.once('error', () => end());
    socket.once('secureConnect', () => end(socket.getPeerX509Certificate()));
  });
}

async function judgeFiles({ host, local }: DoctorTarget, unixMs: number): Promise<Verdict[]> {
  if (local?.certificate === undefined || local.privateKey === undefined) return [];
  let path = local.certificate;
  try {
    const certificate = new X509Certificate(await readFile(path));
    path = local.privateKey;
    const key = createPrivateKey(await readFile(path));
    if (certificate.checkPrivateKey(key)) {
      // What a running hub serves was judged already; one that does not start may have its times to blame.
      const found = judgeCertificate(certificate, { place: local.certificate, host, unixMs });
      return local.pid === undefined && found.id !== 'certificate-name' ? [found] : [];
    }
    return [verdict('fault', 'certificate-unreadable', { path, reason: `${path} is not the certificate’s key.` })];
  } catch (error) {
    return [verdict('fault', 'certificate-unreadable', { path, reason: errorMessage(error) })];
  }
}
