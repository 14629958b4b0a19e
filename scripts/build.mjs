// npm run build: compiles what is out of date, packages and page.
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from './prepare.mjs';

process.exit(build(dirname(dirname(fileURLToPath(import.meta.url)))) ? 0 : 1);
