// @ts-check
// The dialog in which somebody says that they have seen an alert.
import { post } from '../../api.js';
import { openDialog } from '../../dialog.js';
import { fill, h } from '../../dom.js';
import { errorBox, field } from '../../parts.js';
import { remember, remembered } from '../../store.js';
import { toast } from '../../toast.js';

/** @param {any} alert @param {(changed: any[]) => void} learn */
export function openAcknowledge(alert, learn) {
  openDialog('Acknowledge', (close) => {
    const actor = h('input', {
      type: 'text',
      value: remembered('actor') ?? '',
      autocomplete: 'username',
      maxlength: '200',
    });
    const comment = h('textarea', { rows: '3', maxlength: '1000' });
    const [result, send] = [
      h('div'),
      h('button', { class: 'button button-strong', type: 'submit', text: 'Acknowledge' }),
    ];
    const submit = async (/** @type {Event} */ event) => {
      event.preventDefault();
      if (actor.value.trim() === '') return actor.focus();
      remember('actor', actor.value.trim());
      send.disabled = true;
      try {
        const answer = await post(`alerts/${alert.id}:acknowledge`, {
          actor: actor.value.trim(),
          comment: comment.value.trim(),
        });
        learn([answer.alert]);
        toast('The alert is acknowledged; it is not told again.');
        close();
      } catch (error) {
        fill(result, errorBox(error));
        send.disabled = false;
      }
    };
    setTimeout(() => (actor.value === '' ? actor : comment).focus());
    return h(
      'form',
      { class: 'dialog-body form', on: { submit } },
      h('p', { class: 'target wrap', text: alert.summary }),
      field('Who', actor),
      field('Comment', comment),
      result,
      h(
        'footer',
        { class: 'dialog-foot' },
        h('button', { class: 'button', type: 'button', text: 'Cancel', on: { click: close } }),
        send,
      ),
    );
  });
}
