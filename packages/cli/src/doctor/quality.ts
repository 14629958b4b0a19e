import {
  measureQuality,
  plotQuality,
  type QualityOptions,
  type QualityReport,
  serveQuality,
  type WayQuality,
  writeAtomically,
} from '@atoll/hub';
import type { Messages } from '../messages/en.js';
import { messagesFor } from '../messages/locale.js';
import { stopSignal } from '../stop-signal.js';

/** `atoll doctor --serve`: the other side of a quality test, until stopped. */
export async function runResponder(port: number, token: string, isJson: boolean): Promise<void> {
  const stopped = stopSignal();
  const responder = await serveQuality(port, token);
  const said = isJson
    ? JSON.stringify({ port: responder.port })
    : messagesFor(process.env).qualityServes(responder.port);
  process.stdout.write(`${said}\n`);
  await stopped;
  await responder.close();
}

/** `atoll doctor --with`: how video fares between here and there. */
export async function runQuality(
  options: QualityOptions,
  { json, plot }: { readonly json?: boolean; readonly plot?: string },
): Promise<void> {
  const messages = messagesFor(process.env);
  const report = await measureQuality(options);
  if (plot !== undefined) await writeAtomically(plot, plotQuality(report, messages.quality));
  process.stdout.write(json ? `${JSON.stringify(report, undefined, 2)}\n` : tableOf(report, messages));
  process.exitCode = report.isWell ? 0 : 1;
}

function tableOf({ ways, host }: QualityReport, messages: Messages): string {
  const { quality } = messages;
  return `${quality.title}: ${host}\n${ways.map((way) => wayTable(way, messages)).join('')}`;
}

function wayTable(way: WayQuality, { quality }: Messages): string {
  const { table } = quality;
  const rows = [
    ['', table.shown, table.freezes, table.loss, table.jitter, table.delay, table.rate],
    ...(['camera', 'screen'] as const).map((stream) => {
      const of = way[stream];
      const there = of.lossTherePercent === undefined ? '' : ` (${of.lossTherePercent})`;
      return [
        quality[stream],
        String(of.shownFramesPerSecond),
        `${of.freezes} (${of.longestFreezeMs})`,
        `${of.lossPercent}${there}`,
        String(of.jitterMs),
        `${of.delayMs} (${of.slowDelayMs})`,
        String(of.megabitsPerSecond),
      ];
    }),
  ];
  const widths = rows[0]?.map((_, column) => Math.max(...rows.map((row) => row[column]?.length ?? 0))) ?? [];
  const lines = rows.map((row) =>
    row
      .map((cell, column) => cell.padEnd(widths[column] ?? 0))
      .join('  ')
      .trimEnd(),
  );
  const name = quality.ways[way.way];
  return `\n${name}\n${lines.join('\n')}\n${name}: ${quality.carries(way.megabitsPerSecond, way.calls)}\n`;
}
