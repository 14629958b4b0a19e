/**
 * The path of a line through numbers in even steps, in a box of `width` × `height` whose origin is at the top left.
 * The lowest edge is zero, so that a small change looks small; two units are left above for the stroke. The upper edge is
 * `highest`.
 */
export function curve(
  values: readonly number[],
  width: number,
  height: number,
  highest = Math.max(...values, 1e-9),
): string {
  if (values.length < 2) return '';
  const step = width / (values.length - 1);
  return values
    .map((value, n) => `${n === 0 ? 'M' : 'L'}${round(n * step)} ${round(2 + (height - 2) * (1 - value / highest))}`)
    .join('');
}

function round(value: number): number {
  return Math.round(value * 100) / 100;
}
