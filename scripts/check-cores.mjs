// Protocol cores and codecs take time and chance from outside: nothing in them may look at the world.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const FORBIDDEN =
  /Date\.now|new Date\(|Math\.random|\bset(Timeout|Interval|Immediate)\(|performance\.now|node:(dgram|net|tls|fs|timers|child_process|os)\b/;
const ROOMS = /\/src\/(core|wire|lan|bridge)\//;

function files(folder) {
  return readdirSync(folder, { withFileTypes: true }).flatMap((entry) => {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) return ['node_modules', 'dist'].includes(entry.name) ? [] : files(path);
    return /\.ts$/.test(path) && !/\.test\.ts$/.test(path) && (ROOMS.test(path) || /packages\/msgpack\//.test(path))
      ? [path]
      : [];
  });
}

let found = 0;
for (const path of files('packages')) {
  readFileSync(path, 'utf8')
    .split('\n')
    .forEach((line, index) => {
      if (!FORBIDDEN.test(line) || /^\s*(\*|\/\/)/.test(line)) return;
      found++;
      console.error(`${path}:${index + 1}: ${line.trim()}`);
    });
}
if (found > 0) {
  console.error(`${found} places where a core looks at clock, chance, sockets or files by itself.`);
  process.exit(1);
}
console.log('Cores look at nothing but what they are given.');
