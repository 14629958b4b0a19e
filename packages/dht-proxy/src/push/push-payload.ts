import type { PushPayload } from './push-sender.js';

/** JSON as the reference writes it: compact, members sorted by name at every depth, absent ones left out. */
export function sortedJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(sortedJson).join(',')}]`;
  if (typeof value !== 'object' || value === null) return JSON.stringify(value);
  const members = Object.entries(value)
    .filter(([, member]) => member !== undefined)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${sortedJson(member)}`).join(',')}}`;
}

/**
 * The text of a push (protocol/dht-proxy.md 14.1) in at most `mostBytes`. One with more ids than fit goes without `ids`
 * and `pt`: the phone then reads the whole key, as it does for a proxy that never sends them. Undefined when even that
 * is too long.
 */
export function payloadText(payload: PushPayload, mostBytes: number): string | undefined {
  const whole = sortedJson(payload);
  if (Buffer.byteLength(whole) <= mostBytes) return whole;
  const short = sortedJson({ ...payload, ids: undefined, pt: undefined });
  return Buffer.byteLength(short) <= mostBytes ? short : undefined;
}

/** The members of {@link payloadText}, all as strings, for push services that carry nothing else. */
export function payloadStrings(payload: PushPayload, mostBytes: number): Record<string, string> | undefined {
  const text = payloadText(payload, mostBytes);
  if (text === undefined) return undefined;
  const members = JSON.parse(text) as Record<string, unknown>;
  return Object.fromEntries(Object.entries(members).map(([name, member]) => [name, String(member)]));
}
