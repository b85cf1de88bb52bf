/** What stands where nothing is to be seen yet: the first cell, and a button that inserts it. */

import { FIRST_CELL } from '../cells';
import { button, element, setText, show } from '../dom';
import type { State } from '../model/state';

export class Empty {
  readonly node = element('section', { class: 'gpl-Empty', 'aria-label': 'First steps' });
  private readonly text = element('p', {});
  private readonly code = element('pre', { class: 'gpl-Code', tabindex: '0' }, FIRST_CELL);
  private readonly insert: HTMLButtonElement;

  constructor(insert: () => void) {
    this.code.setAttribute('aria-label', 'First cell');
    this.insert = button('Insert this cell', insert, { class: 'gpl-Button gpl-mod-accept' });
    this.node.append(this.text, this.code, this.insert);
  }

  update(state: State): void {
    show(this.node, state.kind === 'none' || state.kind === 'absent' || state.kind === 'idle');
    const notebook = state.kind !== 'none';
    show(this.code, notebook);
    show(this.insert, notebook);
    setText(
      this.text,
      !notebook
        ? 'Open a notebook: here are the grains of the one in front.'
        : state.kind === 'idle'
          ? 'gpures_lab is loaded, and no grain has been used yet. To begin:'
          : 'This kernel has not loaded gpures_lab. To begin:'
    );
  }
}
