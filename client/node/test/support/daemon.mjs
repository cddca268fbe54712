import { spawn, spawnSync } from 'node:child_process';
import { existsSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

const beside = (name) =>
  fileURLToPath(new URL(`../../../../target/debug/${name}`, import.meta.url));
const BREAKERD = process.env.BREAKERD_BINARY ?? beside('breakerd');
const BREAKERCTL = process.env.BREAKERCTL_BINARY ?? BREAKERD.replace(/breakerd$/, 'breakerctl');
for (const [binary, variable] of [
  [BREAKERD, 'BREAKERD_BINARY'],
  [BREAKERCTL, 'BREAKERCTL_BINARY'],
]) {
  if (existsSync(binary)) continue;
  throw new Error(
    `${binary} is missing; run \`cargo build --workspace\`, or name the binary in ${variable}`,
  );
}

const running = new Set();
process.on('exit', () => running.forEach((child) => child.kill('SIGKILL')));

/** A real breakerd, which keeps nothing on disk unless it is told where. */
export class Daemon {
  static async start({ listen = '127.0.0.1:0', database = 'memory:' } = {}) {
    const flags = ['--database', database, '--listen', listen, '--http-listen', '127.0.0.1:0'];
    const child = spawn(BREAKERD, flags, { stdio: ['ignore', 'pipe', 'pipe'] });
    running.add(child);
    child.once('exit', () => running.delete(child));
    let said = '';
    child.stderr.on('data', (chunk) => (said = (said + chunk).slice(-10_000)));
    const lines = createInterface(child.stdout);
    const address = await new Promise((resolve, reject) => {
      lines.on('line', (line) => {
        const at = /^grpc listening on (.*)$/.exec(line)?.[1];
        if (at !== undefined) resolve(at);
      });
      child.once('exit', (code) => reject(new Error(`breakerd ended with ${code}: ${said}`)));
    });
    return new Daemon(child, address);
  }

  constructor(child, address) {
    this.child = child;
    this.address = address;
  }

  /** Runs breakerctl against it. */
  ctl(...command) {
    const { status, stdout, stderr } = spawnSync(
      BREAKERCTL,
      ['--address', this.address, ...command],
      { encoding: 'utf8' },
    );
    if (status !== 0) throw new Error(`breakerctl ${command.join(' ')}: ${stderr}`);
    return stdout;
  }

  /** What the server counts for a breaker. */
  counts(name) {
    return JSON.parse(this.ctl('get', name, '-o', 'json'));
  }

  hang() {
    this.child.kill('SIGSTOP');
  }

  goOn() {
    this.child.kill('SIGCONT');
  }

  async kill() {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    const ended = new Promise((resolve) => this.child.once('exit', resolve));
    this.child.kill('SIGKILL');
    await ended;
  }
}

/** Waits until something holds, for some seconds at most. */
export async function eventually(what, holds, within = 5_000) {
  const deadline = performance.now() + within;
  for (;;) {
    if (await holds()) return;
    if (performance.now() > deadline) throw new Error(`it did not come about that ${what}`);
    await sleep(10);
  }
}

/**
 * Runs one of test/programs to its end; says how it ended, what it said, and how many milliseconds it
 * took from where it measured on.
 */
export async function program(name, environment = {}, within = 40_000) {
  const path = fileURLToPath(new URL(`../programs/${name}.mjs`, import.meta.url));
  const child = spawn(process.execPath, [path], {
    env: { ...process.env, ...environment },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  running.add(child);
  let [out, err] = ['', ''];
  child.stdout.on('data', (chunk) => (out += chunk));
  child.stderr.on('data', (chunk) => (err += chunk));
  const tooLong = setTimeout(() => child.kill('SIGKILL'), within);
  const code = await new Promise((resolve) => child.once('close', resolve));
  clearTimeout(tooLong);
  running.delete(child);
  const took = Number(/^ended after (\d+)\n/m.exec(out)?.[1]);
  return { code, err, took, out: out.replace(/^ended after .*\n/m, '') };
}
