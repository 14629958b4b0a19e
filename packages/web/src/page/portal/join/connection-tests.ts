import type { JoinFacts, ReachFacts } from '@atoll/hub';
import { reach } from '../../api/reach.js';
import { request } from '../../api/request.js';

export type TestName = 'turnUdp' | 'turnTcp' | 'turnTls' | 'names' | 'proxy' | 'dht';

/** What a test found; the page has the words. */
export type Outcome =
  | { readonly kind: 'works'; readonly tookMs: number }
  | { readonly kind: 'noRelay' | 'noRelayTls' | 'noFetch' | 'needsHttp' | 'notAllowed' | 'noWebRtc' }
  | { readonly kind: 'dhtSeen' | 'dhtUnseen'; readonly address: string };

export type RunTest = () => Promise<Outcome>;

const LIMIT_MS = 15_000;

/** The tests that this hub's services allow. */
export function testsOf(facts: JoinFacts): ReadonlyMap<TestName, RunTest> {
  const tests = new Map<TestName, RunTest>();
  const { turn, nameServer, proxy } = facts;
  if (turn !== undefined) {
    tests.set('turnUdp', () => relay(`turn:${turn.server}?transport=udp`, turn));
    tests.set('turnTcp', () => relay(`turn:${turn.server}?transport=tcp`, turn));
    if (turn.tlsPort !== undefined) {
      const host = turn.tlsHost ?? turn.server.replace(/:\d+$/, '');
      tests.set('turnTls', () => relay(`turns:${host}:${turn.tlsPort}?transport=tcp`, turn));
    }
  }
  // An unregistered name is answered with 404: that is an answer.
  if (nameServer !== undefined)
    tests.set('names', () => answer(`${nameServer.replace(/\/$/, '')}/name/connection-test`));
  if (proxy !== undefined) tests.set('proxy', () => answer(`${proxy.replace(/\/$/, '')}/node/info`));
  tests.set('dht', async () => {
    const { isDhtSeen, address } = await request<ReachFacts>('reach');
    return { kind: isDhtSeen ? 'dhtSeen' : 'dhtUnseen', address };
  });
  return tests;
}

/** Asks for a relayed address and nothing else, so that only a TURN server that works can make it. */
async function relay(url: string, { user, password }: { user: string; password: string }): Promise<Outcome> {
  if (!('RTCPeerConnection' in window)) return { kind: 'noWebRtc' };
  const startedMs = performance.now();
  const peer = new RTCPeerConnection({
    iceTransportPolicy: 'relay',
    iceServers: [{ urls: url, username: user, credential: password }],
  });
  try {
    const isRelayed = await new Promise<boolean>((resolve, reject) => {
      peer.addEventListener('icecandidate', ({ candidate }) => {
        if (candidate?.type === 'relay') resolve(true);
        else if (candidate === null) resolve(false);
      });
      setTimeout(() => resolve(false), LIMIT_MS);
      peer.createDataChannel('test');
      peer.setLocalDescription().catch(reject);
    });
    if (isRelayed) return { kind: 'works', tookMs: performance.now() - startedMs };
    return { kind: url.startsWith('turns:') ? 'noRelayTls' : 'noRelay' };
  } finally {
    peer.close();
  }
}

/** Whether a service of HTTP answers at all. */
async function answer(url: string): Promise<Outcome> {
  if (location.protocol === 'https:' && url.startsWith('http:')) return { kind: 'needsHttp' };
  const startedMs = performance.now();
  const result = await reach(url);
  if (result === 'answers') return { kind: 'works', tookMs: performance.now() - startedMs };
  return { kind: result === 'forbidden' ? 'notAllowed' : 'noFetch' };
}
