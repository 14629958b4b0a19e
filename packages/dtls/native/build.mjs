// Builds DTLS where that is possible. It never fails an install: without it everything else works.
import { spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const folder = dirname(fileURLToPath(import.meta.url));
const prefix = dirname(dirname(process.execPath));

function skip(why) {
  console.log(`atoll: DTLS is off (${why}). Everything else works.`);
  process.exit(0);
}

if (process.platform !== 'linux') skip(`it is made for Linux, this is ${process.platform}`);
const gyp = [
  process.env.npm_config_node_gyp,
  join(prefix, 'lib/node_modules/npm/node_modules/node-gyp/bin/node-gyp.js'),
  join(prefix, 'share/nodejs/node-gyp/bin/node-gyp.js'),
].find((path) => path && existsSync(path));
if (!gyp) skip('node-gyp was not found beside npm');
const headers = existsSync(join(prefix, 'include/node/node_api.h')) ? [`--nodedir=${prefix}`] : [];
const built = spawnSync(process.execPath, [gyp, 'rebuild', '--silent', ...headers], { cwd: folder, encoding: 'utf8' });
if (built.status !== 0) {
  const lines = `${built.stdout ?? ''}${built.stderr ?? ''}`
    .split('\n')
    .filter((line) => /error|not found|ENO/i.test(line));
  skip(`it could not be built: ${lines[0]?.trim() ?? built.error?.message ?? `exit code ${built.status}`}`);
}
