/** What is told to the application's logger. */
export interface LogEntry {
  readonly level: 'info' | 'warn';
  readonly message: string;
  /** What led to it, where something did. */
  readonly error?: unknown;
}

/** Takes what the client has to say. Without one it says nothing. */
export type Logger = (entry: LogEntry) => void;

/** A logger of an application that cannot harm anything by throwing. */
export function harmless(logger: Logger | undefined): Logger {
  if (logger === undefined) return () => {};
  return (entry) => {
    try {
      logger(entry);
    } catch {
      // Whoever cannot log cannot be told either.
    }
  };
}

/** Listeners of an application, by event. One that throws or rejects is logged and harms nothing. */
export class Listeners<Events extends object> {
  readonly #log: Logger;
  readonly #listeners = new Map<keyof Events, Set<(news: never) => unknown>>();

  constructor(log: Logger) {
    this.#log = log;
  }

  add<E extends keyof Events>(event: E, listener: (news: Events[E]) => unknown): void {
    let listeners = this.#listeners.get(event);
    if (listeners === undefined) this.#listeners.set(event, (listeners = new Set()));
    listeners.add(listener);
  }

  remove<E extends keyof Events>(event: E, listener: (news: Events[E]) => unknown): void {
    this.#listeners.get(event)?.delete(listener);
  }

  /** Tells those that listen now. */
  emit<E extends keyof Events>(event: E, news: Events[E]): void {
    const listeners = this.#listeners.get(event);
    if (listeners === undefined) return;
    for (const listener of [...listeners]) {
      callSafely(
        () => (listener as (news: Events[E]) => unknown)(news),
        (error) => {
          this.#log({ level: 'warn', message: `a listener of \`${String(event)}\` failed`, error });
        },
      );
    }
  }
}

/** Runs what an application gave, and hears of its failure, be it thrown or a rejected promise. */
export function callSafely(run: () => unknown, failed: (error: unknown) => void): void {
  try {
    const result = run();
    if (isThenable(result)) result.then(undefined, failed);
  } catch (error) {
    failed(error);
  }
}

/** Whether a value is a promise, of whatever make. */
export function isThenable(value: unknown): value is PromiseLike<unknown> {
  return (
    typeof value === 'object' &&
    value !== null &&
    typeof (value as { then?: unknown }).then === 'function'
  );
}
