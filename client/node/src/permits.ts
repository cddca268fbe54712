import type { Clock } from './clock';
import type { AcquireResponseMessage } from './wire/messages';
import { toDenial } from './wire/states';

/** After NO_PERMIT nobody asks for so long, in milliseconds. */
const NO_PERMIT_PAUSE = 20;

/** What asking for permits needs. */
export interface PermitOptions {
  readonly clock: Clock;
  /** How long a call waits for an answer, in milliseconds. */
  readonly permitTimeout: number;
  /** Asks the server; `undefined` if there is no answer. Never rejects. */
  readonly ask: (breaker: string) => Promise<AcquireResponseMessage | undefined>;
  /** How often the server was heard from, on the stream or by an answer. */
  readonly heard: () => number;
  /** Takes back what nobody waits for any more. */
  readonly giveBack: (breaker: string, answer: AcquireResponseMessage) => void;
}

/** The calls of one breaker that ask the server for leave. */
export class Permits {
  readonly #breaker: string;
  readonly #options: PermitOptions;
  #underWay = 0;
  #pausedUntil = -Infinity;
  /** What was heard by the time an Acquire went unanswered: until more is, one at a time asks. */
  #unansweredAt: number | undefined;

  constructor(breaker: string, options: PermitOptions) {
    this.#breaker = breaker;
    this.#options = options;
  }

  /** Whether one more call may ask now. Others are denied at once. */
  mayAsk(maxProbes: number): boolean {
    if (this.#options.clock.now() < this.#pausedUntil) return false;
    const isQuiet = this.#unansweredAt === this.#options.heard();
    return this.#underWay < (isQuiet ? 1 : maxProbes);
  }

  /** Asks; `undefined` is no answer in time. Never rejects. */
  ask(): Promise<AcquireResponseMessage | undefined> {
    const { ask, clock, giveBack, heard, permitTimeout } = this.#options;
    this.#underWay += 1;
    return new Promise((resolve) => {
      let isOver = false;
      const settle = (answer: AcquireResponseMessage | undefined): void => {
        isOver = true;
        timer.cancel();
        this.#underWay -= 1;
        this.#unansweredAt = answer === undefined ? heard() : undefined;
        resolve(answer);
      };
      const timer = clock.after(permitTimeout, () => settle(undefined), 'holds');
      void ask(this.#breaker).then((answer) => {
        if (isOver) {
          if (answer !== undefined) giveBack(this.#breaker, answer);
          return;
        }
        if (answer?.allowed === false && toDenial(answer.reason) === 'no_permit') {
          this.#pausedUntil = clock.now() + NO_PERMIT_PAUSE;
        }
        settle(answer);
      });
    });
  }
}
