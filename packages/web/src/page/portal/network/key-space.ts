/**
 * The point of an id on a ring with the given center and radius; id 0 is at the top, and ids grow clockwise.
 *
 * @param id hex; its first 8 digits decide
 */
export function pointOf(id: string, center: number, radius: number): { x: number; y: number } {
  const turn = Number.parseInt(id.slice(0, 8), 16) / 2 ** 32;
  const angle = 2 * Math.PI * turn;
  return { x: center + radius * Math.sin(angle), y: center - radius * Math.cos(angle) };
}
