#!/usr/bin/env node
import { existsSync } from 'node:fs';
import module from 'node:module';

const main = new URL('../dist/main.js', import.meta.url);
// Keeps compiled code between starts, where this Node can (22.1 and newer).
module.enableCompileCache?.();
if (existsSync(main)) await import(main.href);
else {
  process.stderr.write(
    'Atoll is not built yet: run “npm run build” in its folder, or “npm start” to build and run it.\n',
  );
  process.exitCode = 1;
}
