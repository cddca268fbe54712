// @ts-check
// Sends a change to the server, and tells what became of it.
import { post } from '../api.js';
import { h } from '../dom.js';
import { fleet } from '../fleet.js';
import { plural } from '../format.js';
import { errorBox, notice } from '../parts.js';
import { ACTIONS } from './table.js';

/** Requests at a time where breakers are changed one by one. */
const AT_A_TIME = 4;

/** @typedef {{ matched: number, durable: boolean, failed: { name: string, error: any }[] }} Told */

/**
 * Sends it for each target, a few at a time.
 * @param {string} action
 * @param {string[]} targets
 * @param {any} body
 * @param {(done: number) => void} progress
 * @returns {Promise<Told>}
 */
export async function apply(action, targets, body, progress) {
  const told = {
    matched: 0,
    durable: true,
    /** @type {{ name: string, error: any }[]} */ failed: [],
  };
  const waiting = [...targets];
  let done = 0;
  const work = async () => {
    for (let name = waiting.shift(); name !== undefined; name = waiting.shift()) {
      try {
        const { result } = await post(`breakers:${action}`, {
          ...body,
          target: { ...body.target, selector: name },
        });
        told.matched += result.matched_count;
        told.durable &&= result.durable;
        if (fleet.scope !== null)
          fleet.learn(result.breakers.filter((/** @type {any} */ one) => fleet.rows.has(one.name)));
      } catch (error) {
        told.failed.push({ name, error });
      }
      progress((done += 1));
    }
  };
  await Promise.all(Array.from({ length: AT_A_TIME }, work));
  return told;
}

/** @param {string} action @param {string[] | undefined} names @param {string} selector @param {number} matched */
export function sentence(action, names, selector, matched) {
  const whom =
    names?.length === 1
      ? names[0]
      : names
        ? plural(matched, 'breaker')
        : `${plural(matched, 'breaker')} of ${selector}`;
  return `${whom}: ${ACTIONS[action].done}`;
}

/** @param {string} action @param {string[] | undefined} names @param {string} selector @param {Told} told */
export function outcome(action, names, selector, told) {
  const parts = [];
  if (told.failed.length === 1) parts.push(errorBox(told.failed[0].error));
  if (told.failed.length > 1) {
    parts.push(notice('bad', `${plural(told.failed.length, 'breaker')} could not be changed.`));
    parts.push(
      h(
        'ul',
        { class: 'failures small' },
        ...told.failed.map(({ name, error }) =>
          h('li', {}, h('code', { text: name }), ` ${error.message}`),
        ),
      ),
    );
  }
  const isDone = told.failed.length < (names?.length ?? 1);
  if (isDone && told.failed.length > 0)
    parts.push(notice('good', sentence(action, names, selector, told.matched)));
  if (isDone && !told.durable) {
    parts.push(
      notice(
        'fair',
        `${sentence(action, names, selector, told.matched)}. It is in force, but not on disk yet: the database is away. It is written when that is back; a server that is killed before forgets it.`,
      ),
    );
  }
  return parts;
}
