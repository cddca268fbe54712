import type { Reporter } from './reporter';

/** How long the end of the process waits for what is to be reported, in milliseconds. */
const EXIT_TIMEOUT = 5_000;

/** Those whose outcomes are reported when the process has nothing else to do. */
const reporters = new Set<Reporter>();
/** What could not be reported once keeps no process alive a second time. */
const hopeless = new WeakSet<Reporter>();

/** Reports what waits when the event loop runs dry. `process.exit` does not wait for anything. */
export function flushAtExit(reporter: Reporter): void {
  if (reporters.size === 0) process.on('beforeExit', flushAll);
  reporters.add(reporter);
}

/** Its client ends by itself. */
export function forgetAtExit(reporter: Reporter): void {
  if (reporters.delete(reporter) && reporters.size === 0) process.off('beforeExit', flushAll);
}

function flushAll(): void {
  for (const reporter of reporters) {
    if (reporter.isIdle || hopeless.has(reporter)) continue;
    void reporter.flush(EXIT_TIMEOUT).then((isFlushed) => {
      if (!isFlushed) hopeless.add(reporter);
    });
  }
}
