/** Says at the end of the process how long that took from now on, in milliseconds. */
export function measureEnd() {
  const began = performance.now();
  process.on('exit', () => console.log('ended after', Math.round(performance.now() - began)));
}
