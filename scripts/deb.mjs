// npm run deb: output/atoll_VERSION_ARCH.deb, with the Node that runs this, for Debians whose own is too old.
import { execFileSync, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  chmodSync,
  cpSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join, relative } from 'node:path';
import { fileURLToPath } from 'node:url';
import { gzipSync } from 'node:zlib';

const MAINTAINER = 'Atoll developers <atoll@localhost>';
const root = dirname(dirname(fileURLToPath(import.meta.url)));
const { FIRST_SETTINGS, serviceUnit } = await import('../packages/cli/dist/service/unit.js');
const { version, homepage = 'https://jami.net/' } = JSON.parse(
  readFileSync(join(root, 'packages/cli/package.json'), 'utf8'),
);
const arch = execFileSync('dpkg', ['--print-architecture'], { encoding: 'utf8' }).trim();
const glibc = process.report.getReport().header.glibcVersionRuntime;
const tree = join(root, 'output/deb');
const target = join(root, `output/atoll_${version}_${arch}.deb`);
const app = join(tree, 'usr/lib/atoll');

rmSync(tree, { recursive: true, force: true });
mkdirSync(join(app, 'node_modules'), { recursive: true });

/** What a package needs at run time, with where Node finds each: the lock file decided that at install. */
const copied = new Set();
function copyWithDependencies(path, place) {
  if (copied.has(place)) return;
  copied.add(place);
  const described = JSON.parse(readFileSync(join(path, 'package.json'), 'utf8'));
  const isOwn = described.name.startsWith('@atoll/');
  cpSync(path, place, {
    recursive: true,
    dereference: true,
    filter: (from) => isNeeded(relative(path, from), isOwn),
  });
  for (const name of Object.keys({ ...described.dependencies, ...described.optionalDependencies })) {
    const found = resolve(path, name);
    // Optional parts of other systems are not there; of the two C libraries' ones, this system's is taken.
    if (found === undefined || name.includes('musl') === Boolean(glibc)) continue;
    const isNested = found.startsWith(join(path, 'node_modules'));
    copyWithDependencies(found, join(isNested ? place : app, 'node_modules', name));
  }
}

function isNeeded(path, isOwn) {
  if (path === '') return true;
  if (/(^|\/)node_modules(\/|$)/.test(path)) return false;
  if (!isOwn)
    return (
      !/\.(ts|map|md|markdown|html|sh)$|(^|\/)(test|tests|example|examples|docs|benchmarks?|\.[^/]+)(\/|$)/i.test(
        path,
      ) || /LICEN[CS]E/i.test(path)
    );
  if (path.startsWith('native')) return /^native(\/build(\/Release(\/[^/]+\.node)?)?)?$/.test(path);
  return /^(bin|dist|package\.json)/.test(path) && !/\.(d\.ts|map|tsbuildinfo)$|\.test\.|test\.kit/.test(path);
}

function resolve(from, name) {
  for (let folder = from; ; folder = dirname(folder)) {
    const path = join(folder, 'node_modules', name);
    if (existsSync(join(path, 'package.json'))) return path;
    if (folder === dirname(folder)) return undefined;
  }
}

function write(path, content, mode = 0o644) {
  const place = join(tree, path);
  mkdirSync(dirname(place), { recursive: true });
  writeFileSync(place, content);
  chmodSync(place, mode);
}

/** As Debian wants it; what changed stands in the file beside it. */
function changelog() {
  const date = statSync(join(root, 'CHANGELOG.md')).mtime.toUTCString().replace('GMT', '+0000');
  return `atoll (${version}) stable; urgency=medium\n\n  * See CHANGELOG.md.gz.\n\n -- ${MAINTAINER}  ${date}\n`;
}

function nativeParts(folder) {
  const release = join(folder, 'native/build/Release');
  return existsSync(release) ? readdirSync(release).map((name) => join(release, name)) : [];
}

const packaging = (name) => readFileSync(join(root, 'packaging/deb', name));

copyWithDependencies(join(root, 'packages/cli'), join(app, 'node_modules/@atoll/cli'));
cpSync(process.execPath, join(app, 'node'), { dereference: true });
write(
  'usr/bin/atoll',
  '#!/bin/sh\nexec /usr/lib/atoll/node /usr/lib/atoll/node_modules/@atoll/cli/bin/atoll.mjs "$@"\n',
  0o755,
);
write('lib/systemd/system/atoll.service', serviceUnit(['/usr/bin/atoll']));
write('etc/atoll/atoll.yaml', FIRST_SETTINGS);
write('usr/share/man/man1/atoll.1.gz', gzipSync(packaging('atoll.1'), { level: 9 }));
write('usr/share/doc/atoll/copyright', packaging('copyright'));
write('usr/share/doc/atoll/CHANGELOG.md.gz', gzipSync(readFileSync(join(root, 'CHANGELOG.md')), { level: 9 }));
write('usr/share/doc/atoll/changelog.gz', gzipSync(changelog(), { level: 9 }));
write('usr/share/lintian/overrides/atoll', packaging('lintian-overrides'));
for (const path of ['udp', 'dtls'].flatMap((name) => nativeParts(join(app, 'node_modules/@atoll', name)))) {
  // Where there is no strip, it is only larger.
  spawnSync('strip', ['--strip-unneeded', path]);
}

const files = [];
let bytes = 0;
(function walk(folder) {
  for (const entry of readdirSync(folder, { withFileTypes: true })) {
    const path = join(folder, entry.name);
    if (entry.isDirectory()) {
      chmodSync(path, 0o755);
      walk(path);
      continue;
    }
    const isProgram = ['usr/bin/atoll', 'usr/lib/atoll/node'].includes(relative(tree, path));
    chmodSync(path, isProgram ? 0o755 : 0o644);
    bytes += statSync(path).size;
    files.push(relative(tree, path));
  }
})(tree);
const sums = files
  .filter((path) => !path.startsWith('etc/'))
  .sort()
  .map(
    (path) =>
      `${createHash('md5')
        .update(readFileSync(join(tree, path)))
        .digest('hex')}  ${path}\n`,
  );
write('DEBIAN/md5sums', sums.join(''));
write('DEBIAN/conffiles', '/etc/atoll/atoll.yaml\n');
for (const script of ['postinst', 'prerm', 'postrm']) write(`DEBIAN/${script}`, packaging(script), 0o755);
write(
  'DEBIAN/control',
  `Package: atoll
Version: ${version}
Architecture: ${arch}
Maintainer: ${MAINTAINER}
Installed-Size: ${Math.ceil(bytes / 1024)}
Depends: libc6 (>= ${glibc}), libstdc++6, libgcc-s1
Recommends: systemd
Section: net
Priority: optional
Homepage: ${homepage}
Description: whole Jami network in one program
 A hub for the Jami apps of a network, with or without the Internet: DHT node
 with discovery on the local network, DHT proxy with push for phones, name
 server and TURN server. It brings its own Node.js runtime.
`,
);
execFileSync('dpkg-deb', ['--root-owner-group', '-Zgzip', '-z6', '--build', tree, target], { stdio: 'inherit' });
rmSync(tree, { recursive: true });
