// npm start: installs and builds what is missing, then runs the hub. Needs nothing but Node and npm.
import { spawn } from 'node:child_process';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, installIfNeeded, isNodeRecent, needsBuild, rebuildNative } from './prepare.mjs';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
if (!isNodeRecent()) {
  console.error(`Atoll needs Node 20.19 or newer; this is ${process.version}.`);
  process.exit(1);
}
installIfNeeded(root);
rebuildNative(root);
if (needsBuild(root) && !build(root)) process.exit(1);
const hub = spawn(process.execPath, [join(root, 'packages/cli/bin/atoll.mjs'), 'up', ...process.argv.slice(2)], {
  stdio: 'inherit',
});
// The terminal sends Ctrl-C to the hub itself; what others send to us is passed on.
for (const signal of ['SIGTERM', 'SIGHUP']) process.on(signal, () => hub.kill(signal));
process.on('SIGINT', () => {});
hub.on('exit', (code, signal) => process.exit(code ?? (signal === 'SIGINT' ? 130 : 1)));
