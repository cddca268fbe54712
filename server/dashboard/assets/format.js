// @ts-check
// Numbers, durations and times as people read them.

const whole = new Intl.NumberFormat('en', { maximumFractionDigits: 0 });
const tenths = new Intl.NumberFormat('en', { minimumFractionDigits: 1, maximumFractionDigits: 1 });
const absolute = new Intl.DateTimeFormat('en-GB', {
  year: 'numeric',
  month: 'short',
  day: 'numeric',
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
  timeZoneName: 'short',
});
const clock = new Intl.DateTimeFormat('en-GB', {
  hour: '2-digit',
  minute: '2-digit',
  second: '2-digit',
});

/** @param {number | string | undefined} value */
export const count = (value) => whole.format(Number(value ?? 0));

/** @param {number} share 0 to 1 */
export const percent = (share) => `${tenths.format(share * 100)} %`;

/** A share of the fleet, which is 100 only if it is all. @param {number} value 0 to 100 */
export function health(value) {
  if (value === 100 || value === 0) return `${value}`;
  return tenths.format(Math.min(99.9, Math.max(0.1, value)));
}

/** @param {number} value per second */
export function rate(value) {
  if (value === 0) return '0';
  if (value < 0.1) return '< 0.1';
  return value < 100 ? tenths.format(value) : whole.format(value);
}

/** @param {number} ms */
export function millis(ms) {
  if (ms === 0) return '–';
  if (ms < 10) return `${tenths.format(ms)} ms`;
  if (ms < 1000) return `${whole.format(ms)} ms`;
  return `${tenths.format(ms / 1000)} s`;
}

/** A duration on the wire, `"0.250s"`, in milliseconds. @param {string | undefined} text */
export function toMillis(text) {
  return text === undefined ? undefined : Number.parseFloat(text) * 1000;
}

/**
 * How long something lasts, in two units at most.
 * @param {number} ms
 */
export function duration(ms) {
  const seconds = Math.max(0, Math.floor(ms / 1000));
  const parts = [
    [Math.floor(seconds / 86_400), 'd'],
    [Math.floor(seconds / 3600) % 24, 'h'],
    [Math.floor(seconds / 60) % 60, 'm'],
    [seconds % 60, 's'],
  ];
  const first = parts.findIndex(([amount]) => amount !== 0);
  if (first === -1) return '0 s';
  const told = parts.slice(first, first + 2).filter(([amount], at) => at === 0 || amount !== 0);
  return told.map(([amount, unit]) => `${amount} ${unit}`).join(' ');
}

/** A duration of a configuration, to the millisecond. @param {string} text `"0.250s"` */
export function exact(text) {
  const ms = toMillis(text) ?? 0;
  if (ms < 1000) return `${Number(ms.toFixed(3))} ms`;
  if (ms % 1000 !== 0) return `${ms / 1000} s`;
  return duration(ms);
}

/** A time on the wire, in milliseconds since 1970. @param {string} text */
export const toTime = (text) => Date.parse(text);

/** @param {number} time */
export const dateTime = (time) => absolute.format(time);

/** @param {number} time */
export const timeOfDay = (time) => clock.format(time);

/** @param {string} text */
export const capital = (text) => text.charAt(0).toUpperCase() + text.slice(1);

/** @param {number} amount @param {string} noun @param {string} [many] */
export const plural = (amount, noun, many = `${noun}s`) =>
  `${count(amount)} ${amount === 1 ? noun : many}`;
