#!/usr/bin/env node
import { existsSync } from 'node:fs';

const main = new URL('../dist/main.js', import.meta.url);
if (existsSync(main)) await import(main.href);
else {
  process.stderr.write(
    'Atoll is not built yet: run “npm run build” in its folder, or “npm start” to build and run it.\n',
  );
  process.exitCode = 1;
}
