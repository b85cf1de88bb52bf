/** The status-bar item: pool, throughput, engine. */

import { Widget } from '@lumino/widgets';

import { button, setAttribute, setText } from './dom';
import type { ActiveKernel } from './kernel/active';
import * as format from './model/format';
import type { State } from './model/state';

export class StatusItem extends Widget {
  private readonly text: HTMLButtonElement;

  constructor(active: ActiveKernel, pressed: () => void) {
    super();
    this.text = button('', pressed, { class: 'gpl-Status jp-StatusBar-TextItem' });
    this.node.append(this.text);
    active.changed.connect((_, state) => this.update_(state), this);
    this.update_(active.state);
  }

  private update_(state: State): void {
    const text = statusText(state);
    setText(this.text, text);
    setAttribute(this.text, 'title', `${text} (opens the sidebar)`);
    setAttribute(this.text, 'aria-label', `Grains: ${text}`);
  }
}

export function statusShown(state: State): boolean {
  return state.kind !== 'none' && state.kind !== 'absent' && state.kind !== 'asking';
}

function statusText(state: State): string {
  switch (state.kind) {
    case 'live': {
      const { row, limit, engine } = state.tick;
      const pool = format.percentText(row.used ?? 0, limit);
      const rate = format.rateText(row.rate ?? null);
      return `pool ${pool} · ${rate} msg/s · ${format.engineText(engine)}`;
    }
    case 'idle':
      return 'no grains yet';
    case 'stale':
      return `stale since ${format.clockText(state.since)}`;
    case 'restarted':
      return 'kernel restarted';
    case 'dead':
      return 'kernel died';
    case 'incompatible':
      return 'another protocol';
    case 'unreachable':
      return 'unreachable';
    case 'connecting':
      return 'waiting for the cell';
    case 'none':
    case 'absent':
    case 'asking':
      return '';
  }
}
