// Records how large the frames of a real video encoder are, for the quality test of “atoll doctor --with”: Chromium's
// WebCodecs encodes a moving person-like scene (1920×1080, 30 frames a second) and a scrolling screen (120), and the
// sizes are written into packages/hub/src/doctor/quality/frame-sizes.ts. Run by hand where Debian's chromium is.
import { spawnSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { chromium } from 'playwright-core';

const OUT = 'packages/hub/src/doctor/quality/core/frame-sizes.ts';
const KINDS = [
  { name: 'camera', framesPerSecond: 30, frames: 180, keyEvery: 90, bitrate: 5_000_000 },
  { name: 'screen', framesPerSecond: 120, frames: 480, keyEvery: 480, bitrate: 8_000_000 },
];

const RECORD = `async ({ name, framesPerSecond, frames, keyEvery, bitrate }) => {
  const [width, height] = [1920, 1080];
  const canvas = new OffscreenCanvas(width, height);
  const draw = canvas.getContext('2d');
  const noise = new OffscreenCanvas(256, 256);
  const grain = noise.getContext('2d');
  const text = Array.from({ length: 60 }, (_, line) => 'line ' + line + ' ' + 'the quick brown fox jumps over the lazy dog '.repeat(3));
  const camera = (n) => {
    const sky = draw.createLinearGradient(0, 0, width, height);
    sky.addColorStop(0, '#345'); sky.addColorStop(1, '#876');
    draw.fillStyle = sky; draw.fillRect(0, 0, width, height);
    const sway = 60 * Math.sin(n / 17) + 8 * Math.sin(n / 3);
    draw.fillStyle = '#c98'; draw.beginPath();
    draw.ellipse(960 + sway, 430 + 12 * Math.sin(n / 9), 190, 250, sway / 900, 0, 7); draw.fill();
    draw.fillStyle = '#246'; draw.beginPath(); draw.ellipse(960 + sway / 2, 1050, 480, 380, 0, 0, 7); draw.fill();
    draw.fillStyle = '#421'; draw.fillRect(880 + sway, 520, 160, 12 + 10 * Math.abs(Math.sin(n / 4)));
    const bits = grain.createImageData(256, 256);
    for (let i = 0; i < bits.data.length; i += 4) { const v = 255 * Math.random(); bits.data.set([v, v, v, 10], i); }
    grain.putImageData(bits, 0, 0);
    for (let x = 0; x < width; x += 256) for (let y = 0; y < height; y += 256) draw.drawImage(noise, x, y);
  };
  const screen = (n) => {
    draw.fillStyle = '#fff'; draw.fillRect(0, 0, width, height);
    draw.fillStyle = '#111'; draw.font = '22px monospace';
    // A person scrolls, reads, and scrolls again.
    const scrolled = 6 * (Math.floor(n / 120) * 60 + Math.min(60, n % 120));
    for (let line = 0; line < 45; line++) draw.fillText(text[(line + Math.floor(scrolled / 26)) % 60], 20, 26 * line - (scrolled % 26) + 30);
    draw.fillStyle = '#08f'; draw.fillRect(400 + 3 * (n % 400), 300 + 100 * Math.sin(n / 30), 18, 26);
  };
  const sizes = [];
  let failed;
  const encoder = new VideoEncoder({ output: (chunk) => sizes.push(chunk.byteLength), error: (error) => { failed = error; } });
  const base = { width, height, framerate: framesPerSecond, bitrate, latencyMode: 'realtime' };
  let codec;
  for (codec of ['avc1.42002a', 'vp8']) if ((await VideoEncoder.isConfigSupported({ ...base, codec })).supported) break;
  encoder.configure({ ...base, codec });
  for (let n = 0; n < frames; n++) {
    (name === 'camera' ? camera : screen)(n);
    const frame = new VideoFrame(canvas, { timestamp: Math.round(1e6 * n / framesPerSecond) });
    encoder.encode(frame, { keyFrame: n % keyEvery === 0 });
    frame.close();
    while (encoder.encodeQueueSize > 2) await new Promise((resolve) => setTimeout(resolve, 2));
  }
  await encoder.flush();
  if (failed) throw failed;
  return { codec, sizes };
}`;

const server = createServer((_request, response) => response.end('<!doctype html>'));
await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
const browser = await chromium.launch({
  executablePath: '/usr/bin/chromium',
  headless: true,
  args: ['--no-sandbox', '--disable-gpu'],
});
try {
  const page = await browser.newPage();
  await page.goto(`http://127.0.0.1:${server.address().port}/`);
  const parts = [];
  for (const kind of KINDS) {
    const { codec, sizes } = await page.evaluate(`(${RECORD})(${JSON.stringify(kind)})`);
    console.log(
      kind.name,
      codec,
      sizes.length,
      (8 * sizes.reduce((a, b) => a + b, 0) * kind.framesPerSecond) / sizes.length / 1e6,
    );
    const what = `Frame sizes of ${codec} at ${kind.framesPerSecond} frames a second, bytes.`;
    parts.push(
      `/** ${what} */\nexport const ${kind.name.toUpperCase()}_FRAME_BYTES: readonly number[] = [${sizes.join(',')}];\n`,
    );
  }
  writeFileSync(
    OUT,
    `// Recorded by scripts/record-frame-sizes.mjs from Chromium ${browser.version()}.\n\n${parts.join('\n')}`,
  );
  spawnSync('npx', ['biome', 'format', '--write', OUT], { stdio: 'inherit' });
} finally {
  await browser.close();
  server.close();
}
