import type { Value } from '@atoll/dht';
import { InfoHash } from '@atoll/identity';
import type { PushPlatform } from '../push/push-sender.js';
import { decodeValueJson, isJsonObject, type JsonObject, parseJson } from './value-json.js';

/** Who is to be warned before a permanent put ends, and by which push (protocol/dht-proxy.md 9.1). */
export interface PutOwner {
  /** Push token; empty when nobody is to be warned. */
  readonly token: string;
  readonly clientId: string;
  readonly sessionId: string;
  readonly platform: PushPlatform;
  readonly topic: string;
}

/** A put that was asked for. */
export interface PutRequest {
  readonly value: Value;
  /** Present: the proxy keeps the value alive. */
  readonly permanent: PutOwner | undefined;
  /** Recipient of a put to be encrypted; the zero hash when there is none. */
  readonly to: InfoHash;
}

/** Subscribe, unsubscribe and ping of a push client (protocol/dht-proxy.md 10, 11). */
export interface PushRequest extends PutOwner {
  /** Only a renewal: no values are wanted in the answer. */
  readonly isRefresh: boolean;
}

/** Why a body was refused: the kinds of protocol/dht-proxy.md 3. */
export type BodyFault = 'missing' | 'no json' | 'wrong shape' | 'no token';

const NOBODY: PutOwner = { token: '', clientId: '', sessionId: '', platform: 'none', topic: '' };

/** Reads the body of a put. */
export function decodePutRequest(body: Buffer): PutRequest | BodyFault {
  if (body.length === 0) return 'missing';
  const json = parseJson(body.toString());
  if (json === undefined) return 'no json';
  const decoded = decodeValueJson(json);
  if (typeof decoded === 'string' || !isJsonObject(json)) return 'wrong shape';
  // The member's presence counts, not its value (trap 3).
  const permanent = 'permanent' in json ? permanentOf(json.permanent) : undefined;
  const to = InfoHash.parse(typeof json.to === 'string' ? json.to : '');
  return { value: decoded.value, permanent, to };
}

/** The body of a put. A session is sent with all its members, as the reference client does. */
export function encodePutJson(valueJson: string, permanent: true | PutOwner | undefined): string {
  if (permanent === undefined) return valueJson;
  const member =
    permanent === true
      ? 'true'
      : JSON.stringify({
          client_id: permanent.clientId,
          key: permanent.token,
          platform: platformText(permanent.platform),
          session_id: permanent.sessionId,
          topic: permanent.topic,
        });
  return `${valueJson.slice(0, -1)},"permanent":${member}}`;
}

/** Reads the body of a push request. A reference client ends it with a blank, which JSON does not mind. */
export function decodePushRequest(body: Buffer): PushRequest | BodyFault {
  const json = parseJson(body.toString());
  if (json === undefined) return 'no json';
  if (!isJsonObject(json)) return 'wrong shape';
  const owner = ownerOf(json);
  return owner.token === '' ? 'no token' : { ...owner, isRefresh: json.refresh === true };
}

/** The body of a push request. */
export function encodePushRequest(owner: PutOwner, isRefresh: boolean): string {
  return JSON.stringify({
    client_id: owner.clientId,
    key: owner.token,
    platform: platformText(owner.platform),
    ...(isRefresh ? { refresh: true } : {}),
    session_id: owner.sessionId,
    topic: owner.topic,
  });
}

function permanentOf(json: unknown): PutOwner {
  return isJsonObject(json) ? ownerOf(json) : NOBODY;
}

function ownerOf(json: JsonObject): PutOwner {
  const text = (name: string): string => {
    const member = json[name];
    return typeof member === 'string' ? member : '';
  };
  return {
    token: text('key'),
    clientId: text('client_id'),
    sessionId: text('session_id'),
    platform: platformOf(text('platform')),
    topic: text('topic'),
  };
}

function platformOf(text: string): PushPlatform {
  return text === 'android' || text === 'ios' || text === 'unifiedpush' ? text : 'none';
}

function platformText(platform: PushPlatform): string {
  return platform === 'none' ? '' : platform;
}
