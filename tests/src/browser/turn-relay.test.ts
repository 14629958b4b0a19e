import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createHash, X509Certificate } from 'node:crypto';
import { chmodSync, readFileSync, writeFileSync } from 'node:fs';
import { test } from 'node:test';
import { type Host, Lan } from '@atoll/testkit';
import { type Browser, chromium } from 'playwright-core';
import { Scratch, startTurn } from '../interop/turn-server-process.js';

const FLAGS = ['--no-sandbox', '--disable-gpu', '--disable-background-networking'];

/** A certificate, and the flag with which Chromium takes it: its own store knows public authorities only. */
function certificate(scratch: Scratch): { files: string[]; flag: string } {
  const [cert, key] = [scratch.file('turn.crt'), scratch.file('turn.key')];
  const args = ['req', '-x509', '-nodes', '-newkey', 'rsa:2048', '-subj', '/CN=turn', '-days', '30'];
  execFileSync('openssl', [...args, '-keyout', key, '-out', cert], { stdio: 'ignore' });
  const spki = new X509Certificate(readFileSync(cert)).publicKey.export({ type: 'spki', format: 'der' });
  const hash = createHash('sha256').update(spki).digest('base64');
  return { files: ['--cert', cert, '--pkey', key], flag: `--ignore-certificate-errors-spki-list=${hash}` };
}

/** Chromium on a host of the lab. */
function browserOn(host: Host, scratch: Scratch, flag: string): Promise<Browser> {
  const wrapper = scratch.file('chromium');
  writeFileSync(wrapper, `#!/bin/sh\nexec ip netns exec ${host.name} /usr/bin/chromium "$@"\n`);
  chmodSync(wrapper, 0o755);
  return chromium.launch({ executablePath: wrapper, headless: true, args: [...FLAGS, flag], timeout: 120_000 });
}

/** Runs in the page: two peer connections that may use relays only; resolves to what came through the data channel. */
const TALK = `async (url) => {
  const configuration = {
    iceTransportPolicy: 'relay',
    iceServers: [{ urls: url, username: 'ring', credential: 'ring' }],
  };
  const [a, b] = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
  const gathered = (peer) => new Promise((resolve) => {
    const look = () => peer.iceGatheringState === 'complete' && resolve();
    peer.addEventListener('icegatheringstatechange', look);
    look();
  });
  const echoed = new Promise((resolve, reject) => {
    const channel = a.createDataChannel('words');
    const parts = [];
    channel.onopen = () => { for (let n = 0; n < 50; n++) channel.send('word ' + n + ' ' + 'x'.repeat(1000)); };
    channel.onmessage = ({ data }) => { parts.push(data); if (parts.length === 50) resolve(parts.length); };
    b.ondatachannel = ({ channel: other }) => { other.onmessage = ({ data }) => other.send(data); };
    setTimeout(() => reject(new Error('nothing came through: ' + a.iceConnectionState + ', ' + a.iceGatheringState)), 60000);
  });
  await a.setLocalDescription(await a.createOffer());
  await gathered(a);
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await gathered(b);
  await a.setRemoteDescription(b.localDescription);
  const count = await echoed;
  const pairs = [...(await a.getStats()).values()].filter((entry) => entry.type === 'candidate-pair' && entry.nominated);
  const stats = await a.getStats();
  const local = stats.get(pairs[0].localCandidateId);
  a.close();
  b.close();
  return { count, type: local.candidateType, protocol: local.relayProtocol };
}`;

/** Runs in the page: a moving picture from one peer connection to another by relays alone; resolves to what was decoded. */
const SHOW = `async (url) => {
  const configuration = {
    iceTransportPolicy: 'relay',
    iceServers: [{ urls: url, username: 'ring', credential: 'ring' }],
  };
  const [a, b] = [new RTCPeerConnection(configuration), new RTCPeerConnection(configuration)];
  const gathered = (peer) => new Promise((resolve) => {
    const look = () => peer.iceGatheringState === 'complete' && resolve();
    peer.addEventListener('icegatheringstatechange', look);
    look();
  });
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [320, 240];
  const context = canvas.getContext('2d');
  let hue = 0;
  const painting = setInterval(() => {
    context.fillStyle = 'hsl(' + (hue += 9) + ' 90% 50%)';
    context.fillRect(0, 0, 320, 240);
    context.fillStyle = 'white';
    context.fillRect(hue % 300, 100, 20, 40);
  }, 40);
  const stream = canvas.captureStream(25);
  a.addTrack(stream.getVideoTracks()[0], stream);
  const video = document.createElement('video');
  video.muted = true;
  b.ontrack = ({ streams: [remote] }) => { video.srcObject = remote; video.play(); };
  await a.setLocalDescription(await a.createOffer());
  await gathered(a);
  await b.setRemoteDescription(a.localDescription);
  await b.setLocalDescription(await b.createAnswer());
  await gathered(b);
  await a.setRemoteDescription(b.localDescription);
  const colors = new Set();
  const frames = await new Promise((resolve, reject) => {
    let count = 0;
    const shown = document.createElement('canvas').getContext('2d', { willReadFrequently: true });
    const look = () => {
      shown.drawImage(video, 0, 0, 32, 24);
      colors.add(shown.getImageData(1, 1, 1, 1).data.join());
      if (++count === 50) resolve(count); else video.requestVideoFrameCallback(look);
    };
    video.requestVideoFrameCallback(look);
    setTimeout(() => reject(new Error('after 90 s ' + count + ' frames came, ' + a.iceConnectionState)), 90000);
  });
  const stats = await b.getStats();
  const entries = [...stats.values()];
  const inbound = entries.find((entry) => entry.type === 'inbound-rtp' && entry.kind === 'video');
  const pair = entries.find((entry) => entry.type === 'candidate-pair' && entry.nominated);
  const local = stats.get(pair.localCandidateId);
  clearInterval(painting);
  a.close();
  b.close();
  return {
    frames,
    isMoving: colors.size > 10,
    isDecoded: inbound.framesDecoded >= frames,
    width: video.videoWidth,
    type: local.candidateType,
    protocol: local.relayProtocol,
  };
}`;

test('Chromium sends a data channel and video through relays alone, over UDP, TCP and TLS', async () => {
  await using lan = await Lan.create({ hosts: 2 });
  const [server, client] = [lan.host(0), lan.host(1)];
  using scratch = await Scratch.make();
  const { files, flag } = certificate(scratch);
  const who = ['-a', '-u', 'ring:ring', '-r', 'ring', '-L', server.address];
  await using turn = await startTurn(server, scratch, ...who, ...files);
  const browser = await browserOn(client, scratch, flag);
  try {
    const page = await browser.newPage();
    for (const [url, protocol] of [
      [`turn:${server.address}:3478?transport=udp`, 'udp'],
      [`turn:${server.address}:3478?transport=tcp`, 'tcp'],
      [`turns:${server.address}:5349?transport=tcp`, 'tls'],
    ]) {
      const result = await page.evaluate(`(${TALK})(${JSON.stringify(url)})`);
      assert.deepEqual(result, { count: 50, type: 'relay', protocol });
      const shown = await page.evaluate(`(${SHOW})(${JSON.stringify(url)})`);
      const expected = { frames: 50, isMoving: true, isDecoded: true, width: 320, type: 'relay', protocol };
      assert.deepEqual(shown, expected);
      assert.match(turn.output, new RegExp(`protocol <${protocol}>`));
    }
  } finally {
    await browser.close();
  }
});
