import type { InfoHash } from '@atoll/identity';
import { keyOfSegment } from './key-segment.js';

/** What a request asks for; routes of both generations (protocol/dht-proxy.md 2). */
export type Route =
  | { readonly kind: 'info' | 'stats' | 'pingPush' | 'options' }
  | {
      readonly kind: 'get' | 'listen' | 'put' | 'subscribe' | 'unsubscribe' | 'sign' | 'encrypt';
      readonly key: InfoHash;
    };

const INFO: Route = { kind: 'info' };
const STATS: Route = { kind: 'stats' };
const PING_PUSH: Route = { kind: 'pingPush' };
const OPTIONS: Route = { kind: 'options' };

const ON_KEY: Readonly<Record<string, 'get' | 'put' | 'subscribe' | 'unsubscribe'>> = {
  GET: 'get',
  POST: 'put',
  SUBSCRIBE: 'subscribe',
  UNSUBSCRIBE: 'unsubscribe',
};

/**
 * The route of a method and a request target; undefined when there is none, which is answered with 501. Case and a
 * trailing slash do not matter, the query string is not looked at.
 */
export function routeOf(method: string, target: string): Route | undefined {
  const query = target.search(/[?#]/);
  const path = (query < 0 ? target : target.slice(0, query)).replace(/\/$/, '');
  if (path === '') return method === 'GET' ? INFO : method === 'OPTIONS' ? OPTIONS : undefined;
  const [, first = '', second, third, ...more] = path.split('/');
  if (more.length > 0 || first === '' || second === '' || third === '') return undefined;
  if (second === undefined) return onKey(method, first);
  const word = first.toLowerCase();
  if (word === 'node') return third === undefined ? onNode(method, second.toLowerCase()) : undefined;
  if (word !== 'key') return undefined;
  return third === undefined ? onKey(method, second) : onKeyAndWord(method, second, third.toLowerCase());
}

function onNode(method: string, word: string): Route | undefined {
  if (word === 'info') return method === 'GET' ? INFO : method === 'OPTIONS' ? OPTIONS : undefined;
  if (word === 'stats') return method === 'GET' ? STATS : undefined;
  return word === 'pingpush' && method === 'POST' ? PING_PUSH : undefined;
}

function onKey(method: string, segment: string): Route | undefined {
  if (method === 'OPTIONS') return OPTIONS;
  const kind = ON_KEY[method];
  return kind === undefined ? undefined : { kind, key: keyOfSegment(segment) };
}

function onKeyAndWord(method: string, segment: string, word: string): Route | undefined {
  if (word === 'options') return method === 'GET' ? OPTIONS : undefined;
  if (word === 'listen') {
    if (method === 'OPTIONS') return OPTIONS;
    return method === 'GET' ? { kind: 'listen', key: keyOfSegment(segment) } : undefined;
  }
  const isPut = method === 'POST' && (word === 'sign' || word === 'encrypt');
  return isPut ? { kind: word, key: keyOfSegment(segment) } : undefined;
}
