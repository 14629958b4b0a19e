import type { Findings } from '../../portal/api.js';
import { type DoctorLanguage, findingsOf, type Verdict, verdict } from '../finding.js';
import { findPerson, type SeenPerson, type WhyParts } from './find-person.js';

const LIMIT_MS = 15_000;
/** Bytes that addresses of one LAN share, when nothing is known about its mask. */
const SAME_LAN_BYTES = 3;

/** Why two people do not meet: each one's way from name to device, and what stands between them. */
export async function why(of: string, to: string, parts: WhyParts, language: DoctorLanguage): Promise<Findings> {
  const signal = AbortSignal.timeout(LIMIT_MS);
  const [one, other] = await Promise.all([findPerson(of, parts, signal), findPerson(to, parts, signal)]);
  return findingsOf(judgeMeeting({ name: of, seen: one }, { name: to, seen: other }), language);
}

interface Named {
  readonly name: string;
  readonly seen: SeenPerson;
}

/** Judges what is known about two people. */
export function judgeMeeting(one: Named, other: Named): readonly Verdict[] {
  if (one.seen.state === 'found' && other.seen.state === 'found' && one.seen.address === other.seen.address) {
    return [verdict('fault', 'why-same', { person: one.name })];
  }
  const found = [...judgePerson(one), ...judgePerson(other)];
  if (found.some(({ severity }) => severity === 'fault')) return found;
  const [here, there] = [addressesOf(one), addressesOf(other)];
  const people = { person: one.name, other: other.name };
  const areApart = here.length > 0 && there.length > 0 && !here.some((a) => there.some((b) => isSameLan(a, b)));
  if (areApart) {
    found.push(verdict('warning', 'why-two-networks', { ...people, here: here.join(', '), there: there.join(', ') }));
  }
  return [...found, verdict('good', 'why-nothing', people)];
}

function judgePerson({ name: person, seen }: Named): Verdict[] {
  if (seen.state !== 'found') {
    if (seen.state === 'unknown') return [verdict('fault', 'why-name-unknown', { person })];
    const id = seen.state === 'names-silent' ? 'why-name-silent' : 'why-no-dht';
    return [verdict('fault', id, { person, reason: seen.reason })];
  }
  if (seen.devices.length === 0) return [verdict('fault', 'why-no-device', { person })];
  // One device that can be reached is enough.
  const severity = seen.devices.some(({ hasCertificate }) => hasCertificate) ? 'warning' : 'fault';
  return seen.devices.map(({ device, hasCertificate, heard }) => {
    if (!hasCertificate) return verdict(severity, 'why-no-certificate', { person, device });
    if (heard === undefined) return verdict('unknown', 'why-device-unseen', { person, device });
    const seconds = Math.round(heard.agoMs / 1000);
    return verdict('good', 'why-device-seen', { person, device, address: heard.address, seconds });
  });
}

function addressesOf({ seen }: Named): string[] {
  if (seen.state !== 'found') return [];
  return seen.devices.map(({ heard }) => heard?.address).filter((address) => address !== undefined);
}

function isSameLan(a: string, b: string): boolean {
  const head = (address: string): string => address.split('.').slice(0, SAME_LAN_BYTES).join('.');
  // IPv6 addresses of a LAN share its prefix of 64 bits: four groups, unless zeros are left out.
  if (a.includes(':') || b.includes(':')) return a.split(':').slice(0, 4).join() === b.split(':').slice(0, 4).join();
  return head(a) === head(b);
}
