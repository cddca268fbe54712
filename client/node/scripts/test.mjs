// Runs every test. The files mostly wait for servers and clocks, so several run at once even where
// there are few cores, which `node --test` would not do.
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { run } from 'node:test';
import { spec as Spec } from 'node:test/reporters';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../test/', import.meta.url));
const files = ['unit', 'e2e'].flatMap((kind) =>
  readdirSync(join(folder, kind))
    .filter((name) => name.endsWith('.test.mjs'))
    .map((name) => join(folder, kind, name)),
);
run({ files, concurrency: 3 })
  .on('test:fail', () => (process.exitCode = 1))
  .compose(new Spec())
  .pipe(process.stdout);
