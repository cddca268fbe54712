// Runs before anything is painted, so that the page does not flash in the other theme.
(() => {
  let theme = null;
  try {
    theme = localStorage.getItem('breakerd.theme');
  } catch {
    // A browser that keeps nothing follows the system.
  }
  const isDark =
    theme === 'dark' || (theme !== 'light' && matchMedia('(prefers-color-scheme: dark)').matches);
  document.documentElement.dataset.theme = isDark ? 'dark' : 'light';
})();
