/** One line about the connection, and the one button that helps. */

import { button, element, setAttribute, setText, show } from '../dom';
import { clockText } from '../model/format';
import type { State } from '../model/state';

export interface BannerEvents {
  reconnect(): void;
  load(): void;
}

interface Said {
  readonly text: string;
  readonly action?: 'reconnect' | 'load';
  readonly level: 'note' | 'warning';
}

export class Banner {
  readonly node = element('div', { class: 'gpl-Banner', role: 'status' });
  private readonly text = element('span', {});
  private readonly press: HTMLButtonElement;
  private action: Said['action'];

  constructor(events: BannerEvents) {
    this.press = button('', () => (this.action === 'load' ? events.load() : events.reconnect()), {
      class: 'gpl-Button'
    });
    this.node.append(this.text, this.press);
    show(this.node, false);
  }

  update(state: State, waiting: boolean): void {
    const said = sentence(state, waiting);
    show(this.node, said !== null);
    if (!said) {
      return;
    }
    this.action = said.action;
    setAttribute(this.node, 'data-level', said.level);
    setText(this.text, said.text);
    setText(this.press, said.action === 'load' ? 'Load gpures_lab' : 'Reconnect');
    show(this.press, said.action !== undefined);
  }
}

export function sentence(state: State, waiting: boolean): Said | null {
  switch (state.kind) {
    case 'asking':
    case 'connecting':
      return { text: 'Waiting for the running cell to end.', level: 'note' };
    case 'stale':
      return {
        text: `Stale since ${clockText(state.since)}: the kernel has stopped sending.`,
        action: 'reconnect',
        level: 'warning'
      };
    case 'restarted':
      return {
        text:
          `The kernel restarted at ${clockText(state.at)}. Grains, handles and their memory went ` +
          'with it; checkpoints did not: %grain_restore KEY brings one back.',
        action: 'load',
        level: 'warning'
      };
    case 'dead':
      return {
        text: `The kernel died at ${clockText(state.at)}. Restart it; %grain_restore KEY brings checkpoints back.`,
        level: 'warning'
      };
    case 'unreachable':
      return {
        text: 'The notebook through which this page spoke with the kernel was closed. Reload the page.',
        level: 'warning'
      };
    case 'incompatible':
      return {
        text:
          `The kernel's gpures_lab speaks protocol ${state.theirs}, this page another. Upgrade ` +
          (state.upgrade === 'kernel'
            ? "gpures_lab in the kernel's environment."
            : 'gpures_lab where JupyterLab runs, and reload the page.'),
        level: 'warning'
      };
    case 'live':
    case 'idle':
      return waiting
        ? { text: 'Waiting for the cell: this kernel answers between cells.', level: 'note' }
        : null;
    case 'none':
    case 'absent':
      return null;
  }
}
