import type { Row } from './bench.js';
import { figure } from './results.js';

const WIDTH = 760;
const LABEL_WIDTH = 300;
const BAR_HEIGHT = 14;
const ROW_HEIGHT = 46;
const TOP = 56;
const ATOLL_COLOR = '#0b7285';
const OTHER_COLOR = '#adb5bd';

/** A bar chart as SVG: for every row Atoll's bar and the other's, as parts of the longer one. */
export function plot(title: string, other: string, rows: readonly Row[]): string {
  const bars = rows.flatMap((line, index) => {
    const y = TOP + index * ROW_HEIGHT;
    const most = Math.max(line.atoll, line.other ?? 0);
    const label = text(LABEL_WIDTH - 10, y + BAR_HEIGHT + 4, line.what, 'end', 12);
    const own = bar(y, line.atoll / most, ATOLL_COLOR, `${figure(line.atoll)} ${line.unit}`);
    if (line.other === undefined) return [label, own];
    return [label, own, bar(y + BAR_HEIGHT + 2, line.other / most, OTHER_COLOR, `${figure(line.other)} ${line.unit}`)];
  });
  const height = TOP + rows.length * ROW_HEIGHT;
  return [
    `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 ${WIDTH} ${height}" font-family="sans-serif">`,
    `<title>${escaped(title)}</title>`,
    `<rect width="${WIDTH}" height="${height}" fill="#ffffff"/>`,
    text(10, 22, title, 'start', 15),
    `<rect x="10" y="32" width="12" height="12" fill="${ATOLL_COLOR}"/>`,
    text(28, 42, 'Atoll', 'start', 12),
    `<rect x="80" y="32" width="12" height="12" fill="${OTHER_COLOR}"/>`,
    text(98, 42, other, 'start', 12),
    ...bars,
    '</svg>',
    '',
  ].join('\n');
}

function bar(y: number, share: number, color: string, label: string): string {
  const width = Math.max(1, Math.round(share * (WIDTH - LABEL_WIDTH - 150)));
  return (
    `<rect x="${LABEL_WIDTH}" y="${y}" width="${width}" height="${BAR_HEIGHT}" fill="${color}"/>` +
    text(LABEL_WIDTH + width + 6, y + BAR_HEIGHT - 3, label, 'start', 11)
  );
}

function text(x: number, y: number, content: string, anchor: 'start' | 'end', size: number): string {
  return `<text x="${x}" y="${y}" text-anchor="${anchor}" font-size="${size}" fill="#212529">${escaped(content)}</text>`;
}

function escaped(content: string): string {
  return content.replace(/&/g, '&amp;').replace(/</g, '&lt;').replace(/>/g, '&gt;');
}
