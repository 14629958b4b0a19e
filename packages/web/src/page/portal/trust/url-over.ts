/** The hub's URL of a protocol: best under the name by which this page was reached, since that name works here. */
export function urlOver(protocol: 'http:' | 'https:', urls: readonly string[]): string | undefined {
  const fitting = urls.filter((url) => new URL(url).protocol === protocol);
  return fitting.find((url) => new URL(url).hostname === location.hostname) ?? fitting[0];
}
