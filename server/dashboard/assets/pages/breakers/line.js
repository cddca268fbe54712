// @ts-check
// The columns of the list, and one row of it.
import { now, relative } from '../../clock.js';
import { fill, h, say } from '../../dom.js';
import { count, dateTime, duration, millis, rate, toTime } from '../../format.js';
import { icon } from '../../icons.js';
import { modeMark, share, stateMark } from '../../parts.js';
import { link } from '../../router.js';
import { SORTS } from './filter.js';

/** @typedef {import('../../row.js').Row} Row */

/** Cells after the name, and the classes that say how wide they are and when there is no room for them. */
const COLUMNS = [
  'state',
  'mode',
  'level',
  'failure_rate',
  'response',
  'pace',
  'calls',
  'denied',
  'since',
  'retry',
];
const NUMBERS = ['failure_rate', 'response', 'pace', 'calls', 'denied', 'since', 'retry'];

/** @param {string} column */
const classOf = (column) =>
  `cell cell-${column.replace('_', '-')}${NUMBERS.includes(column) ? ' number' : ''}`;

/**
 * The row of the headings.
 * @param {{ sort: (by: string) => void, all: (() => void) | undefined }} on
 */
export function headings(on) {
  const box = h('input', {
    type: 'checkbox',
    'aria-label': 'Select all that are shown',
    on: { change: on.all },
  });
  /** @type {Map<string, HTMLElement>} */
  const sortable = new Map();
  const cells = ['name', ...COLUMNS].map((column) => {
    if (column === 'pace')
      return h('div', { role: 'columnheader', class: classOf(column), text: 'Calls /s' });
    const button = h('button', {
      type: 'button',
      class: 'sort',
      text: SORTS[column].title,
      on: { click: () => on.sort(column) },
    });
    button.append(icon('down', 12));
    const cell = h('div', { role: 'columnheader', class: classOf(column) }, button);
    sortable.set(column, cell);
    return cell;
  });
  const select = h('div', { role: 'columnheader', class: 'cell cell-select needs-write' }, box);
  const element = h(
    'div',
    { role: 'row', class: 'grid-row grid-headings', 'aria-rowindex': '1' },
    select,
    ...cells,
  );
  return {
    element,
    /** @param {{ sort: string, dir: string }} filter @param {boolean | 'some'} selected */
    show({ sort, dir }, selected) {
      for (const [column, cell] of sortable) {
        if (column === sort)
          cell.setAttribute('aria-sort', dir === 'asc' ? 'ascending' : 'descending');
        else cell.removeAttribute('aria-sort');
      }
      box.checked = selected === true;
      box.indeterminate = selected === 'some';
    },
  };
}

/** A row, which shows one breaker after another. */
export function line() {
  const box = h('input', { type: 'checkbox', tabindex: '-1' });
  const [path, last] = [h('span', { class: 'breaker-path' }), h('span')];
  const anchor = h('a', { class: 'breaker-name', tabindex: '-1' }, path, last);
  const name = h('div', { role: 'rowheader', class: 'cell cell-name' }, anchor);
  const cells = Object.fromEntries(
    COLUMNS.map((column) => [column, h('div', { role: 'gridcell', class: classOf(column) })]),
  );
  const failing = share();
  cells.failure_rate.append(failing.element);
  const select = h('div', { role: 'gridcell', class: 'cell cell-select needs-write' }, box);
  const element = h(
    'div',
    { role: 'row', class: 'grid-row' },
    select,
    name,
    ...Object.values(cells),
  );
  const was = { name: '', state: '', mode: '', level: '', since: '' };

  /** @param {string} full */
  function nameOf(full) {
    const cut = full.lastIndexOf('/') + 1;
    say(path, full.slice(0, cut));
    say(last, full.slice(cut));
    anchor.href = link('breakers', full);
    anchor.title = full;
  }

  /** @param {Row} row */
  function marks(row) {
    if (row.name !== was.name) {
      nameOf(row.name);
      box.setAttribute('aria-label', `Select ${row.name}`);
    }
    if (row.state !== was.state) {
      fill(cells.state, stateMark(row.state));
      element.dataset.state = row.state;
    }
    if (row.sinceTime !== was.since) {
      cells.since.title = row.sinceTime === '' ? '' : `since ${dateTime(toTime(row.sinceTime))}`;
    }
    if (row.mode !== was.mode) fill(cells.mode, modeMark(row.mode));
    if (row.level !== was.level) {
      fill(
        cells.level,
        row.level !== '' &&
          h('span', { class: row.levelNumber > 0 ? 'mark mark-plain' : 'quiet', text: row.level }),
      );
    }
    Object.assign(was, {
      name: row.name,
      state: row.state,
      mode: row.mode,
      level: row.level,
      since: row.sinceTime,
    });
  }

  return {
    element,
    /** @param {Row} row @param {boolean} isSelected */
    show(row, isSelected) {
      marks(row);
      box.checked = isSelected;
      failing.show(row.failureRate);
      say(cells.response, millis(row.responseMs));
      say(cells.pace, row.callsPerSecond === null ? '–' : rate(row.callsPerSecond));
      say(cells.calls, count(row.totalCalls));
      say(cells.denied, count(row.denied));
      say(cells.since, duration(now() - row.since));
      say(cells.retry, row.retryAt === null ? '–' : duration(row.retryAt - now()));
      if (row.mode !== 'NORMAL')
        cells.mode.title =
          row.overrideEnds === '' ? '' : `ends ${relative(toTime(row.overrideEnds))}`;
      else if (cells.mode.title !== '') cells.mode.title = '';
    },
  };
}
