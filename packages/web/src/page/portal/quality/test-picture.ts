export const STREAMS = {
  camera: { framesPerSecond: 30, bitsPerSecond: 4_000_000 },
  screen: { framesPerSecond: 120, bitsPerSecond: 8_000_000 },
} as const;
export type StreamName = keyof typeof STREAMS;

const [WIDTH, HEIGHT] = [1920, 1080];
const LINE_PIXELS = 36;
const BLOBS = 60;

/** A moving picture that needs no camera: a slow pan over soft shapes, or a page of text that scrolls. */
export class TestPicture {
  readonly track: MediaStreamTrack;
  readonly #timer: ReturnType<typeof setInterval>;

  constructor(name: StreamName) {
    const { framesPerSecond } = STREAMS[name];
    const [canvas, context] = makeCanvas(WIDTH, HEIGHT);
    // Twice as high as what is shown, and the same in both halves: it turns round and round.
    const backdrop = name === 'camera' ? paintShapes() : paintText();
    const startMs = performance.now();
    const paint = (): void => {
      const seconds = (performance.now() - startMs) / 1000;
      const top = name === 'camera' ? (40 * seconds) % HEIGHT : (600 * seconds) % HEIGHT;
      context.drawImage(backdrop, 0, -top);
      context.fillStyle = `hsl(${(90 * seconds) % 360} 80% 60%)`;
      const [x, y] = [WIDTH * (0.5 + 0.35 * Math.sin(seconds)), HEIGHT * (0.5 + 0.3 * Math.cos(1.7 * seconds))];
      context.fillRect(x - 90, y - 90, 180, 180);
    };
    paint();
    const [track] = canvas.captureStream(framesPerSecond).getVideoTracks();
    if (track === undefined) throw new TypeError('This browser makes no video of a canvas.');
    // Where it cannot do both, the browser is to keep the frame rate rather than the sharpness.
    track.contentHint = 'motion';
    this.track = track;
    this.#timer = setInterval(paint, 1000 / framesPerSecond);
  }

  stop(): void {
    clearInterval(this.#timer);
    this.track.stop();
  }
}

function paintShapes(): HTMLCanvasElement {
  return paintTwice((context) => {
    context.fillStyle = '#27504e';
    context.fillRect(0, 0, WIDTH, HEIGHT);
    for (let n = 0; n < BLOBS; n++) {
      const [x, y, size] = [(n * 797) % WIDTH, 120 + ((n * 463) % (HEIGHT - 240)), 40 + ((n * 37) % 80)];
      const gradient = context.createRadialGradient(x, y, 0, x, y, size);
      gradient.addColorStop(0, `hsl(${(n * 67) % 360} 60% 65%)`);
      gradient.addColorStop(1, 'transparent');
      context.fillStyle = gradient;
      context.fillRect(x - size, y - size, 2 * size, 2 * size);
    }
  });
}

function paintText(): HTMLCanvasElement {
  return paintTwice((context) => {
    context.fillStyle = '#fff';
    context.fillRect(0, 0, WIDTH, HEIGHT);
    context.fillStyle = '#111';
    context.font = `${LINE_PIXELS - 12}px monospace`;
    for (let line = 0; line < HEIGHT / LINE_PIXELS; line++) {
      const words = Array.from({ length: 14 }, (_, n) => (((line + 3) * (n + 7) * 7919) % 99_991).toString(36));
      context.fillText(words.join(' '), 20 + 40 * (line % 4), (line + 1) * LINE_PIXELS - 8);
    }
  });
}

function paintTwice(paint: (context: CanvasRenderingContext2D) => void): HTMLCanvasElement {
  const [canvas, context] = makeCanvas(WIDTH, 2 * HEIGHT);
  paint(context);
  context.translate(0, HEIGHT);
  paint(context);
  return canvas;
}

function makeCanvas(width: number, height: number): [HTMLCanvasElement, CanvasRenderingContext2D] {
  const canvas = document.createElement('canvas');
  [canvas.width, canvas.height] = [width, height];
  const context = canvas.getContext('2d');
  if (context === null) throw new TypeError('This browser paints no canvas.');
  return [canvas, context];
}
