// @ts-check
// The JSON API of the server.

/** @typedef {{ field: string, description: string }} Violation */

/** How long an answer may take, in milliseconds. */
const PATIENCE = 15_000;

/** What the server refused, or that it could not be reached. */
export class ApiError extends Error {
  /**
   * @param {string} message
   * @param {{ status?: string, http?: number, violations?: Violation[], leader?: string }} [more]
   */
  constructor(message, { status = '', http = 0, violations = [], leader } = {}) {
    super(message);
    this.name = 'ApiError';
    this.status = status;
    this.http = http;
    this.violations = violations;
    this.leader = leader;
  }
}

/**
 * Reads from the server. Of the query, what is empty is left out, and lists are given one by one.
 * @param {string} path below `/api/v1/`
 * @param {Record<string, string | number | string[] | undefined>} [query]
 * @param {AbortSignal} [signal]
 */
export function get(path, query = {}, signal) {
  const parameters = new URLSearchParams();
  for (const [name, value] of Object.entries(query)) {
    for (const one of Array.isArray(value) ? value : [value]) {
      if (one !== undefined && one !== '') parameters.append(name, String(one));
    }
  }
  const text = parameters.toString();
  return ask(text === '' ? path : `${path}?${text}`, { signal });
}

/**
 * Sends something to the server.
 * @param {string} path below `/api/v1/`
 * @param {object} body
 * @param {AbortSignal} [signal]
 */
export function post(path, body, signal) {
  const headers = { 'content-type': 'application/json' };
  return ask(path, { method: 'POST', headers, body: JSON.stringify(body), signal });
}

/** The path of something with a name; the slashes of the name stay as they are. @param {string} name */
export const escaped = (name) => name.split('/').map(encodeURIComponent).join('/');

/**
 * @param {string} path
 * @param {RequestInit & { signal?: AbortSignal }} options
 */
async function ask(path, { signal, ...options }) {
  const patience = AbortSignal.timeout(PATIENCE);
  const either = signal === undefined ? patience : AbortSignal.any([signal, patience]);
  let response, text;
  try {
    response = await fetch(`api/v1/${path}`, { ...options, signal: either, cache: 'no-store' });
    text = await response.text();
  } catch (error) {
    if (signal?.aborted) throw error;
    const reason = patience.aborted ? 'does not answer' : 'cannot be reached';
    throw new ApiError(`The server ${reason}.`);
  }
  const answer = parsed(text);
  if (response.ok && answer !== undefined) return answer;
  throw problem(answer, response.status);
}

/** @param {string} text */
function parsed(text) {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

/**
 * The error that an answer tells of.
 * @param {any} answer
 * @param {number} http
 */
export function problem(answer, http) {
  const error = answer?.error;
  if (error === undefined) return new ApiError(`The server answered with ${http}.`, { http });
  /** @type {any[]} */
  const details = error.details ?? [];
  const violations = details.flatMap((detail) => detail.field_violations ?? []);
  const leader = details.map((detail) => detail.metadata?.leader).find(Boolean);
  return new ApiError(error.message, { status: error.status, http, violations, leader });
}

/** Whether an error only says that nobody waits for the answer any more. @param {unknown} error */
export const isAbort = (error) => error instanceof DOMException && error.name === 'AbortError';
