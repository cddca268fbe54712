// @ts-check
// Policies, and how the configuration of a breaker comes about.
import { escaped, get, isAbort } from '../api.js';
import { ago } from '../clock.js';
import { add, fill, h, say } from '../dom.js';
import { plural } from '../format.js';
import { empty, errorBox, panel } from '../parts.js';
import { go, link } from '../router.js';
import { configTable } from './breaker/config.js';
import { settings } from './policies/settings.js';

const PAGE = 1_000;

/** @type {import('../app.js').Page} */
export function policies(main, route, signal) {
  const [counted, problem, list] = [
    h('p', { class: 'quiet', role: 'status' }),
    h('div'),
    h('ul', { class: 'policy-list' }),
  ];
  const none = empty(
    'There are no policies: every breaker has its own values over the server’s defaults.',
  );
  const explain = explainPanel(signal);
  none.hidden = true;
  add(main, [
    h('header', { class: 'page-head' }, h('h1', { text: 'Policies' }), counted),
    h(
      'div',
      { class: 'policies live' },
      explain.element,
      panel(
        'All policies',
        {
          aside: h('span', {
            class: 'quiet small',
            text: 'of those that match a breaker, the one with the highest priority counts',
          }),
        },
        problem,
        list,
        none,
      ),
    ),
  ]);

  /** @param {import('../router.js').Route} to */
  async function load(to) {
    try {
      /** @type {any[]} */
      const all = [];
      let token = '';
      do {
        const answer = await get('policies', { page_size: PAGE, page_token: token }, signal);
        all.push(...answer.policies);
        token = answer.next_page_token;
      } while (token !== '');
      all.sort((a, b) => b.priority - a.priority || (a.name < b.name ? -1 : 1));
      fill(list, ...all.map((policy) => card(policy, policy.name === to.name)));
      none.hidden = all.length > 0;
      say(counted, plural(all.length, 'policy', 'policies'));
      fill(problem);
      list.querySelector('details[open]')?.scrollIntoView({ block: 'center' });
    } catch (error) {
      if (!isAbort(error)) fill(problem, errorBox(error));
    }
  }

  const show = (/** @type {import('../router.js').Route} */ to) => {
    explain.show(to.query.get('explain') ?? '');
    load(to);
  };
  show(route);
  return { title: 'Policies', update: show };
}

/** @param {any} policy @param {boolean} isOpen */
function card(policy, isOpen) {
  const {
    name,
    selector,
    priority,
    breaker_count: breakers,
    config,
    alerts,
    create_time: created,
    update_time: updated,
  } = policy;
  const number =
    breakers === undefined
      ? null
      : h('a', { href: link('breakers', '', { q: selector }), text: plural(breakers, 'breaker') });
  const head = h(
    'summary',
    {},
    h('span', { class: 'policy-name', text: name }),
    h('code', { class: 'wrap', text: selector }),
    h('span', { class: 'quiet', text: `priority ${priority}` }),
  );
  const times = h(
    'p',
    { class: 'quiet small' },
    'created ',
    ago(created),
    updated && ', changed ',
    updated && ago(updated),
  );
  const body = h(
    'div',
    { class: 'policy-body' },
    h('p', {}, 'In force for ', number, '.'),
    h('h3', { text: 'Configuration' }),
    settings(config),
    h('h3', { text: 'Alert rules' }),
    settings(alerts),
    times,
  );
  return h('li', {}, h('details', { class: 'policy', open: isOpen }, head, body));
}

/** @param {AbortSignal} signal */
function explainPanel(signal) {
  const name = h('input', {
    type: 'text',
    class: 'mono',
    placeholder: 'payments/stripe-api',
    'aria-label': 'Name of a breaker',
    data: { search: '' },
    autocomplete: 'off',
    spellcheck: 'false',
    autocapitalize: 'off',
  });
  const result = h('div', { class: 'explained', 'aria-live': 'polite' });
  const submit = (/** @type {Event} */ event) => {
    event.preventDefault();
    const wanted = name.value.trim();
    if (link('policies', '', { explain: wanted }) === location.hash) explain(wanted);
    else go(link('policies', '', { explain: wanted }));
  };
  const form = h(
    'form',
    { class: 'explain-form', on: { submit } },
    name,
    h('button', { class: 'button button-strong', type: 'submit', text: 'Explain' }),
  );
  const element = panel('Which configuration has a breaker?', { class: 'explain' }, form, result);

  /** @param {string} wanted */
  async function explain(wanted) {
    if (wanted === '')
      return fill(
        result,
        h('p', {
          class: 'quiet',
          text: 'The name of a breaker, be there one or not: its own values, over those of the best policy that matches, over the server’s defaults, over what is built in.',
        }),
      );
    try {
      fill(result, ...told(await get(`config/${escaped(wanted)}`, {}, signal)));
    } catch (error) {
      if (!isAbort(error)) fill(result, errorBox(error));
    }
  }

  return {
    element,
    /** @param {string} wanted */
    show(wanted) {
      if (wanted !== '' || result.childElementCount === 0) name.value = wanted;
      explain(wanted);
    },
  };
}

/** @param {any} explained */
function told({ name, exists, policies: matching, policy, values }) {
  const whether = exists
    ? h('a', { href: link('breakers', name), text: name })
    : h('code', { text: name });
  const order = matching.map((/** @type {any} */ one) =>
    h(
      'li',
      { data: { best: String(one.name === policy) } },
      h('a', { href: link('policies', one.name), text: one.name }),
      ' ',
      h('code', { class: 'wrap', text: one.selector }),
      h('span', {
        class: 'quiet',
        text: ` priority ${one.priority}${one.name === policy ? ', in force' : ''}`,
      }),
    ),
  );
  return [
    h('p', {}, whether, exists ? ' exists.' : ' does not exist; this is what it would have.'),
    h('h3', {
      text:
        matching.length === 0
          ? 'No policy matches'
          : `${plural(matching.length, 'policy matches', 'policies match')}, the best first`,
    }),
    h('ol', { class: 'matching' }, ...order),
    h('h3', { text: 'Effective configuration' }),
    configTable(values),
  ];
}
