import { readFile } from 'node:fs/promises';
import { errorCode, errorMessage, type Logger } from '@atoll/base';
import { writeAtomically } from '../state-directory.js';
import type { Figures, History } from './api.js';

/** The last hour in steps of ten seconds, the last day in minutes. */
export const FINE_STEP_MS = 10_000;
const COARSE_STEP_MS = 60_000;
const FINE_POINTS = 360;
const COARSE_POINTS = 1440;
const HOUR_MS = 3_600_000;

const NAMES: readonly (keyof Figures)[] = [
  'nodes',
  'values',
  'storageBytes',
  'listens',
  'proxyClients',
  'pushSubscriptions',
  'names',
  'allocations',
  'inBytesPerSecond',
  'outBytesPerSecond',
  'residentBytes',
];

/** A time and the figures in the order of NAMES. */
type Point = readonly [atMs: number, ...figures: number[]];

/** What the figures were over the last day; kept over restarts. */
export class FigureHistory {
  private readonly path: string;
  private readonly logger: Logger;
  private fine: Point[] = [];
  private coarse: Point[] = [];

  constructor(path: string, logger: Logger) {
    this.path = path;
    this.logger = logger;
  }

  /** Takes up what an earlier run kept; a history that cannot be read is begun anew. */
  async restore(nowMs: number): Promise<void> {
    try {
      const { fine, coarse } = JSON.parse(await readFile(this.path, 'utf8')) as { fine: unknown; coarse: unknown };
      const isKept = (stepMs: number, points: number) => (point: Point) =>
        point[0] <= nowMs && point[0] > nowMs - stepMs * points;
      this.fine = pointsOf(fine).filter(isKept(FINE_STEP_MS, FINE_POINTS));
      this.coarse = pointsOf(coarse).filter(isKept(COARSE_STEP_MS, COARSE_POINTS));
    } catch (error) {
      if (errorCode(error) !== 'ENOENT') {
        this.logger.warn(
          `The history of figures is begun anew, since ${this.path} cannot be read: ${errorMessage(error)}`,
        );
      }
    }
  }

  async save(): Promise<void> {
    await writeAtomically(this.path, JSON.stringify({ fine: this.fine, coarse: this.coarse }));
  }

  add(nowMs: number, figures: Figures): void {
    const point: Point = [nowMs, ...NAMES.map((name) => Math.round(figures[name]))];
    this.fine.push(point);
    if (this.fine.length > FINE_POINTS) this.fine.shift();
    if (nowMs - (this.coarse.at(-1)?.[0] ?? 0) < COARSE_STEP_MS) return;
    this.coarse.push(point);
    if (this.coarse.length > COARSE_POINTS) this.coarse.shift();
  }

  /** The last hours, in fine steps where an hour is enough. */
  of(hours: number, nowMs: number): History {
    const sinceMs = nowMs - hours * HOUR_MS;
    const points = (hours <= 1 ? this.fine : this.coarse).filter(([atMs]) => atMs >= sinceMs);
    const series: Partial<Record<keyof Figures, number[]>> = {};
    for (const [at, name] of NAMES.entries()) series[name] = points.map((point) => point[at + 1] ?? 0);
    return { timesMs: points.map(([atMs]) => atMs), series: series as History['series'] };
  }
}

function pointsOf(json: unknown): Point[] {
  if (!Array.isArray(json)) return [];
  const isPoint = (entry: unknown): entry is Point =>
    Array.isArray(entry) && entry.length === NAMES.length + 1 && entry.every((part) => Number.isFinite(part));
  return json.filter(isPoint);
}
