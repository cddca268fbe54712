import assert from 'node:assert/strict';
import { after } from 'node:test';

/** Fails a file in which anything was left unhandled, or written where nobody asked for it. */
export function nothingUnhandled() {
  const unhandled = [];
  process.on('unhandledRejection', (error) => unhandled.push(error));
  process.on('uncaughtException', (error) => unhandled.push(error));
  process.on('warning', (warning) => unhandled.push(warning));
  after(() => assert.deepEqual(unhandled, []));
}
