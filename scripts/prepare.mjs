// What start and test have to do before anything else can run.
import { spawnSync } from 'node:child_process';
import { existsSync, readdirSync, statSync, utimesSync } from 'node:fs';
import { join } from 'node:path';

/** Node 20.19 or newer. */
export function isNodeRecent() {
  const [major, minor] = process.versions.node.split('.').map(Number);
  return major > 20 || (major === 20 && minor >= 19);
}

/** `npm ci` when nothing is installed, or the lock file changed since. */
export function installIfNeeded(root) {
  const marker = join(root, 'node_modules/.package-lock.json');
  const lock = join(root, 'package-lock.json');
  if (existsSync(marker) && statSync(marker).mtimeMs >= statSync(lock).mtimeMs) return;
  console.log('Installing …');
  const npm = process.platform === 'win32' ? 'npm.cmd' : 'npm';
  const done = spawnSync(npm, ['ci', '--no-audit', '--no-fund'], {
    cwd: root,
    stdio: 'inherit',
    shell: process.platform === 'win32',
  });
  if (done.status !== 0) {
    console.error('npm ci failed; see above.');
    process.exit(1);
  }
  const now = new Date();
  utimesSync(marker, now, now);
}

/** Makes native parts anew whose source is newer than what was built of it; what cannot be built is done without. */
export function rebuildNative(root) {
  for (const name of readdirSync(join(root, 'packages'))) {
    const folder = join(root, 'packages', name, 'native');
    const release = join(folder, 'build/Release');
    if (!existsSync(release)) continue;
    const built = readdirSync(release).filter((file) => file.endsWith('.node'));
    const sources = readdirSync(folder).filter((file) => /\.(c|h|gyp)$/.test(file));
    const newestSource = Math.max(...sources.map((file) => statSync(join(folder, file)).mtimeMs));
    if (built.length > 0 && built.every((file) => statSync(join(release, file)).mtimeMs >= newestSource)) continue;
    spawnSync(process.execPath, [join(folder, 'build.mjs')], { cwd: root, stdio: 'inherit' });
  }
}

/** Whether a source is newer than what was built of it. */
export function needsBuild(root) {
  return readdirSync(join(root, 'packages')).some((name) => {
    const built = join(root, 'packages', name, 'tsconfig.tsbuildinfo');
    if (!existsSync(built)) return existsSync(join(root, 'packages', name, 'tsconfig.json'));
    return name === 'web' ? isPageOld(root) : newest(join(root, 'packages', name, 'src')) > statSync(built).mtimeMs;
  });
}

function isPageOld(root) {
  const folder = join(root, 'packages/web');
  const built = join(folder, 'dist/site/index.html');
  if (!existsSync(built)) return true;
  const sources = ['index.html', 'vite.config.ts', 'package.json'].map((name) => statSync(join(folder, name)).mtimeMs);
  return Math.max(newest(join(folder, 'src')), newest(join(folder, 'public')), ...sources) > statSync(built).mtimeMs;
}

/** Compiles what is out of date, packages first and then the page. Returns whether that went well. */
export function build(root) {
  const run = (...args) => spawnSync(process.execPath, args, { cwd: root, stdio: 'inherit' }).status === 0;
  if (!run(join(root, 'node_modules/typescript/bin/tsc'), '-b')) return false;
  return (
    !isPageOld(root) || run(join(root, 'node_modules/vite/bin/vite.js'), 'build', 'packages/web', '--logLevel', 'warn')
  );
}

function newest(folder) {
  let latest = 0;
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    latest = Math.max(latest, entry.isDirectory() ? newest(path) : statSync(path).mtimeMs);
  }
  return latest;
}
