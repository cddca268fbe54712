import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { after } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const BREAKERD =
  process.env.BREAKERD_BINARY ??
  fileURLToPath(new URL('../../../target/debug/breakerd', import.meta.url));
if (!existsSync(BREAKERD)) {
  throw new Error(
    `${BREAKERD} is missing; run \`cargo build\`, or name the binary in BREAKERD_BINARY`,
  );
}

const running = new Set();
// Also where a test has failed before it came to that.
after(() => running.forEach((child) => child.kill('SIGKILL')));
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A real breakerd, which keeps nothing on disk, and its API. */
export class Daemon {
  static async start({ http = '127.0.0.1:0', flags = [] } = {}) {
    const own = ['--database', 'memory:', '--listen', '127.0.0.1:0', '--http-listen', http];
    const child = spawn(BREAKERD, [...own, ...flags], { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let said = '';
    child.stderr.on('data', (chunk) => (said = (said + chunk).slice(-10_000)));
    const address = await new Promise((resolve, reject) => {
      createInterface(child.stdout).on('line', (line) => {
        const at = /^http listening on (.*)$/.exec(line)?.[1];
        if (at !== undefined) resolve(at);
      });
      child.once('exit', (code) => reject(new Error(`breakerd ended with ${code}: ${said}`)));
    });
    return new Daemon(child, address);
  }

  constructor(child, address) {
    this.child = child;
    this.address = address;
    this.url = `http://${address}`;
  }

  /** Asks the API; fails where the server refuses. */
  async api(method, path, body) {
    const response = await fetch(`${this.url}/api/v1/${path}`, {
      method,
      headers: { 'content-type': 'application/json' },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const answer = await response.json();
    if (!response.ok) throw new Error(`${method} ${path}: ${JSON.stringify(answer)}`);
    return answer;
  }

  /** Reports calls; the breakers are created by it. */
  report(reports) {
    const all = reports.map(({ breaker, outcome = 'SUCCESS', count = 1, seconds = 0.02 }) => ({
      breaker,
      runs: [{ outcome: `OUTCOME_${outcome}`, count, total_duration: `${count * seconds}s` }],
    }));
    return this.api('POST', 'report', { reports: all });
  }

  /** Does something to breakers, as `breakers:forceOpen` does. */
  act(action, selector, more = {}) {
    const target = { selector, actor: 'test', reason: 'to see what happens' };
    return this.api('POST', `breakers:${action}`, { target, ...more });
  }

  async breaker(name) {
    return (await this.api('GET', `breakers/${name}`)).breaker;
  }

  /** The samples of /metrics, by name and labels as they stand there. */
  async metrics() {
    const text = await (await fetch(`${this.url}/metrics`)).text();
    const lines = text.split('\n').filter((line) => line !== '' && !line.startsWith('#'));
    return new Map(
      lines.map((line) => [
        line.slice(0, line.lastIndexOf(' ')),
        Number(line.slice(line.lastIndexOf(' ') + 1)),
      ]),
    );
  }

  async kill() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}

/** Waits until something holds, for some seconds at most. */
export async function eventually(what, holds, within = 10_000) {
  const deadline = performance.now() + within;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > deadline) throw new Error(`it did not come about that ${what}`);
    await sleep(25);
  }
}
