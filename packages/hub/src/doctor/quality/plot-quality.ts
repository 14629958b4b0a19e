import type { QualityReport } from './measure-quality.js';

const WIDTH = 760;
const PANEL_HEIGHT = 150;
const LEFT = 60;
const RIGHT = 20;
const TOP = 34;
const COLORS = { camera: '#0b6e99', screen: '#b3541e' } as const;

/** The words of a plot. */
export interface PlotWords {
  readonly title: string;
  readonly frames: string;
  readonly loss: string;
  readonly delay: string;
  readonly camera: string;
  readonly screen: string;
  readonly ways: { readonly direct: string; readonly turn: string };
}

/** A report as an SVG picture: frames shown, loss and delay in each second of each stream. */
export function plotQuality({ ways, host }: QualityReport, words: PlotWords): string {
  const parts: string[] = [];
  let top = TOP;
  const text = (x: number, y: number, content: string, more = ''): void => {
    parts.push(`<text x="${x}" y="${y}"${more}>${escaped(content)}</text>`);
  };
  text(LEFT, 20, `${words.title}: ${host}`, ' font-weight="bold"');
  for (const way of ways) {
    for (const [label, pick] of [
      [words.frames, 'frames'],
      [words.loss, 'lossPercent'],
      [words.delay, 'delayMs'],
    ] as const) {
      const highest = Math.max(
        1,
        ...(['camera', 'screen'] as const).flatMap((s) => way[s].seconds.map((each) => each[pick])),
      );
      const bottom = top + PANEL_HEIGHT - 26;
      text(LEFT, top + 14, `${words.ways[way.way]}: ${label}`);
      text(LEFT - 6, top + 32, String(Math.ceil(highest)), ' text-anchor="end"');
      text(LEFT - 6, bottom, '0', ' text-anchor="end"');
      parts.push(`<path d="M${LEFT} ${top + 22}V${bottom}H${WIDTH - RIGHT}" stroke="#888" fill="none"/>`);
      for (const stream of ['camera', 'screen'] as const) {
        const { seconds } = way[stream];
        const step = (WIDTH - LEFT - RIGHT) / Math.max(1, seconds.length - 1);
        const points = seconds.map((each, index) => {
          const y = bottom - ((bottom - top - 24) * each[pick]) / highest;
          return `${(LEFT + index * step).toFixed(1)},${y.toFixed(1)}`;
        });
        parts.push(`<polyline points="${points.join(' ')}" fill="none" stroke="${COLORS[stream]}" stroke-width="2"/>`);
      }
      top += PANEL_HEIGHT;
    }
  }
  text(LEFT, top + 10, words.camera, ` fill="${COLORS.camera}"`);
  text(WIDTH / 2, top + 10, words.screen, ` fill="${COLORS.screen}"`);
  const size = `viewBox="0 0 ${WIDTH} ${top + 24}" width="${WIDTH}" height="${top + 24}"`;
  const style = 'font-family="sans-serif" font-size="12" style="background:#fff"';
  return `<svg xmlns="http://www.w3.org/2000/svg" ${size} ${style}>\n${parts.join('\n')}\n</svg>\n`;
}

function escaped(text: string): string {
  return text.replace(/[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
}
