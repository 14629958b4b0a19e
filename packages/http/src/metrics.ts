/** Series of one metric; further label values are counted together under `other`. */
const MAX_SERIES = 500;

/** Seconds, for times of answers. */
const DEFAULT_BUCKETS = [0.001, 0.005, 0.01, 0.05, 0.1, 0.5, 1, 5, 30];

/** Only grows. */
export interface Counter {
  increment(by?: number): void;
  /** The series with these label values, in the order of the label names. Keep it where it is used often. */
  with(...labels: string[]): Counter;
}

/** Goes up and down. */
export interface Gauge {
  set(value: number): void;
  add(by: number): void;
  with(...labels: string[]): Gauge;
}

/** Counts observations by size. */
export interface Histogram {
  observe(value: number): void;
  with(...labels: string[]): Histogram;
}

interface Family {
  readonly name: string;
  lines(): Iterable<string>;
}

/** The figures of one program, and their text as Prometheus reads it (text exposition format 0.0.4). */
export class Metrics {
  /** Content type of {@link expose}. */
  static readonly contentType = 'text/plain; version=0.0.4; charset=utf-8';
  private readonly families = new Map<string, Family>();

  /** A counter; asked for again under the same name, the same one. */
  counter(name: string, help: string, labelNames: readonly string[] = []): Counter {
    return this.family(name, () => new CounterFamily(name, help, labelNames)).root;
  }

  /** A gauge; `collect` gives its value at the moment of reading, where nobody sets it. */
  gauge(name: string, help: string, labelNames: readonly string[] = [], collect?: () => number): Gauge {
    return this.family(name, () => new GaugeFamily(name, help, labelNames, collect)).root;
  }

  histogram(
    name: string,
    help: string,
    labelNames: readonly string[] = [],
    buckets: readonly number[] = DEFAULT_BUCKETS,
  ): Histogram {
    return this.family(name, () => new HistogramFamily(name, help, labelNames, buckets)).root;
  }

  /** Everything, as text. */
  expose(): string {
    let text = '';
    for (const family of this.families.values()) for (const line of family.lines()) text += `${line}\n`;
    return text;
  }

  private family<F extends Family>(name: string, make: () => F): F {
    const known = this.families.get(name);
    if (known !== undefined) return known as F;
    if (!/^[a-zA-Z_:][a-zA-Z0-9_:]*$/.test(name)) throw new TypeError(`“${name}” is no name of a metric`);
    const made = make();
    this.families.set(name, made);
    return made;
  }
}

/** Series by label values, with a bound. */
class Series<Cell> {
  readonly cells = new Map<string, Cell>();
  private readonly labelNames: readonly string[];
  private readonly make: (labels: string) => Cell;

  constructor(labelNames: readonly string[], make: (labels: string) => Cell) {
    this.labelNames = labelNames;
    this.make = make;
  }

  with(values: readonly string[]): Cell {
    const isFull = this.cells.size >= MAX_SERIES;
    const labels = this.text(values);
    const cell = this.cells.get(labels);
    if (cell !== undefined) return cell;
    const kept = isFull ? this.text(this.labelNames.map(() => 'other')) : labels;
    const found = this.cells.get(kept) ?? this.make(kept);
    this.cells.set(kept, found);
    return found;
  }

  private text(values: readonly string[]): string {
    return this.labelNames.map((name, at) => `${name}="${escapeLabel(values[at] ?? '')}"`).join(',');
  }
}

function escapeLabel(value: string): string {
  return value.replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n');
}

function heading(name: string, help: string, type: string): string {
  return `# HELP ${name} ${help.replaceAll('\\', '\\\\').replaceAll('\n', '\\n')}\n# TYPE ${name} ${type}`;
}

function line(name: string, labels: string, value: number): string {
  const shown = value === Number.POSITIVE_INFINITY ? '+Inf' : value === Number.NEGATIVE_INFINITY ? '-Inf' : `${value}`;
  return labels === '' ? `${name} ${shown}` : `${name}{${labels}} ${shown}`;
}

class CounterCell implements Counter {
  value = 0;
  private readonly series: Series<CounterCell>;

  constructor(series: Series<CounterCell>) {
    this.series = series;
  }

  increment(by = 1): void {
    if (by > 0) this.value += by;
  }

  with(...labels: string[]): Counter {
    return this.series.with(labels);
  }
}

class CounterFamily implements Family {
  readonly name: string;
  readonly root: Counter;
  private readonly help: string;
  private readonly series: Series<CounterCell>;

  constructor(name: string, help: string, labelNames: readonly string[]) {
    this.name = name;
    this.help = help;
    this.series = new Series<CounterCell>(labelNames, () => new CounterCell(this.series));
    this.root = labelNames.length === 0 ? this.series.with([]) : new CounterCell(this.series);
  }

  *lines(): Iterable<string> {
    yield heading(this.name, this.help, 'counter');
    for (const [labels, { value }] of this.series.cells) yield line(this.name, labels, value);
  }
}

class GaugeCell implements Gauge {
  value = 0;
  private readonly series: Series<GaugeCell>;

  constructor(series: Series<GaugeCell>) {
    this.series = series;
  }

  set(value: number): void {
    this.value = value;
  }

  add(by: number): void {
    this.value += by;
  }

  with(...labels: string[]): Gauge {
    return this.series.with(labels);
  }
}

class GaugeFamily implements Family {
  readonly name: string;
  readonly root: Gauge;
  private readonly help: string;
  private readonly series: Series<GaugeCell>;
  private readonly collect: (() => number) | undefined;

  constructor(name: string, help: string, labelNames: readonly string[], collect: (() => number) | undefined) {
    this.name = name;
    this.help = help;
    this.collect = collect;
    this.series = new Series<GaugeCell>(labelNames, () => new GaugeCell(this.series));
    this.root = labelNames.length === 0 ? this.series.with([]) : new GaugeCell(this.series);
  }

  *lines(): Iterable<string> {
    if (this.collect !== undefined) this.root.set(this.collect());
    yield heading(this.name, this.help, 'gauge');
    for (const [labels, { value }] of this.series.cells) yield line(this.name, labels, value);
  }
}

class HistogramCell implements Histogram {
  readonly counts: number[];
  sum = 0;
  count = 0;
  private readonly series: Series<HistogramCell>;
  private readonly buckets: readonly number[];

  constructor(series: Series<HistogramCell>, buckets: readonly number[]) {
    this.series = series;
    this.buckets = buckets;
    this.counts = buckets.map(() => 0);
  }

  observe(value: number): void {
    this.sum += value;
    this.count++;
    for (let at = 0; at < this.buckets.length; at++) {
      if (value > (this.buckets[at] as number)) continue;
      this.counts[at] = (this.counts[at] as number) + 1;
      return;
    }
  }

  with(...labels: string[]): Histogram {
    return this.series.with(labels);
  }
}

class HistogramFamily implements Family {
  readonly name: string;
  readonly root: Histogram;
  private readonly help: string;
  private readonly buckets: readonly number[];
  private readonly series: Series<HistogramCell>;

  constructor(name: string, help: string, labelNames: readonly string[], buckets: readonly number[]) {
    this.name = name;
    this.help = help;
    this.buckets = buckets;
    this.series = new Series<HistogramCell>(labelNames, () => new HistogramCell(this.series, buckets));
    this.root = labelNames.length === 0 ? this.series.with([]) : new HistogramCell(this.series, buckets);
  }

  *lines(): Iterable<string> {
    yield heading(this.name, this.help, 'histogram');
    for (const [labels, cell] of this.series.cells) {
      const and = labels === '' ? '' : `${labels},`;
      let sum = 0;
      for (const [at, upTo] of this.buckets.entries()) {
        sum += cell.counts[at] ?? 0;
        yield line(`${this.name}_bucket`, `${and}le="${upTo}"`, sum);
      }
      yield line(`${this.name}_bucket`, `${and}le="+Inf"`, cell.count);
      yield line(`${this.name}_sum`, labels, cell.sum);
      yield line(`${this.name}_count`, labels, cell.count);
    }
  }
}
