/** The sidebar: the active notebook's kernel, its engine, its grains, and what can be done. */

import { Dialog, showDialog } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { DASHBOARD_CELL, FIRST_CELL, grainCell, insertCell, LOAD_CELL } from '../cells';
import { button, element, setText, show } from '../dom';
import { grainsIcon } from '../icon';
import type { ActiveKernel } from '../kernel/active';
import { countText } from '../model/format';
import type { State } from '../model/state';
import type { Outcome } from '../wire/frames';
import { Banner } from './banner';
import { Empty } from './empty';
import { GrainFeed } from './feed';
import { GrainList } from './grains';
import { Overview } from './overview';

export interface PanelEvents {
  openCharts(): void;
}

const WAITING_MS = 1000;
const NEEDS_GRAIN = ['checkpoint', 'deactivate', 'release', 'cell'] as const;

export class Panel extends Widget {
  private readonly banner: Banner;
  private readonly empty: Empty;
  private readonly overview = new Overview();
  private readonly list: GrainList;
  private readonly feed: GrainFeed;
  private readonly search = element('input', {
    type: 'search',
    class: 'gpl-Search',
    placeholder: 'Filter grains',
    'aria-label': 'Filter grains by key'
  });
  private readonly count = element('span', { class: 'gpl-Count' });
  private readonly said = element('div', { class: 'gpl-Said', role: 'status' });
  private readonly live: HTMLElement;
  private readonly actions = new Map<string, HTMLButtonElement>();
  private readonly waitingFor = new Map<string, string>();
  private frame = 0;

  constructor(
    private readonly active: ActiveKernel,
    events: PanelEvents
  ) {
    super();
    this.id = 'gpures-lab-sidebar';
    this.addClass('gpl-Panel');
    this.title.icon = grainsIcon;
    this.title.caption = 'GPU-resident grains';
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', 'GPU-resident grains');
    this.banner = new Banner({
      reconnect: () => void active.link?.reconnect(),
      load: () => this.insert(LOAD_CELL, true)
    });
    this.empty = new Empty(() => this.insert(FIRST_CELL, false));
    this.feed = new GrainFeed(() => this.schedule());
    this.list = new GrainList({
      order: order => {
        this.feed.order = order;
        this.again();
      },
      chosen: () => this.schedule(),
      toggled: key => this.feed.toggle(key)
    });
    this.search.addEventListener('input', () => {
      this.feed.filter = this.search.value;
      this.again();
    });
    this.live = element(
      'div',
      { class: 'gpl-Live' },
      this.overview.node,
      element(
        'div',
        { class: 'gpl-Bar', role: 'toolbar', 'aria-label': 'Engine actions' },
        this.action('park', 'Park', 'Make the ring kernel leave the device; memory stays', () =>
          this.command('park', null)
        ),
        this.action('charts', 'Charts', 'Open the charts beside the notebook', events.openCharts),
        this.action('dashboard', 'Dashboard', 'Insert and run %grain_dashboard', () =>
          this.insert(DASHBOARD_CELL, true)
        )
      ),
      element('div', { class: 'gpl-Bar' }, this.search, this.count),
      this.list.node,
      element(
        'div',
        { class: 'gpl-Bar', role: 'toolbar', 'aria-label': 'Actions on the chosen grain' },
        this.action('checkpoint', 'Checkpoint', 'Keep its memory and state in the store', () =>
          this.onChosen('checkpoint')
        ),
        this.action(
          'deactivate',
          'Deactivate',
          'Put its memory away; the next message wakes it',
          () => this.onChosen('deactivate')
        ),
        this.action(
          'release',
          'Release…',
          'Give all of its memory back',
          () => void this.release()
        ),
        this.action('cell', 'Insert cell', 'Insert a cell that takes hold of this grain', () => {
          const key = this.list.selected;
          if (key !== null) {
            this.insert(grainCell(key), false);
          }
        })
      )
    );
    this.node.append(
      element('header', { class: 'gpl-Title' }, 'GPU-resident grains'),
      this.banner.node,
      this.empty.node,
      this.live,
      this.said
    );
    active.changed.connect(() => this.onChanged(), this);
    active.ended.connect((_, outcome) => this.onEnded(outcome), this);
    this.onChanged();
  }

  override dispose(): void {
    window.cancelAnimationFrame(this.frame);
    super.dispose();
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.schedule();
  }

  protected override onResize(message: Widget.ResizeMessage): void {
    super.onResize(message);
    this.schedule();
  }

  private onChanged(): void {
    this.feed.follow(this.active.link);
    this.again();
  }

  /** Look at the last tick again: it, the filter or the order is another. */
  private again(): void {
    const { state } = this.active;
    if (state.kind === 'live' && this.isVisible) {
      this.feed.take(state.tick);
    }
    this.schedule();
  }

  /** Draw once before the next frame, however much news there is until then. */
  private schedule(): void {
    if (this.frame === 0 && this.isVisible) {
      this.frame = window.requestAnimationFrame(() => {
        this.frame = 0;
        this.draw(this.active.state);
      });
    }
  }

  private draw(state: State): void {
    const link = this.active.link;
    const since = link?.control.waitingSince ?? null;
    this.banner.update(state, since !== null && Date.now() - since > WAITING_MS);
    this.empty.update(state);
    const tick = state.kind === 'live' || state.kind === 'stale' ? state.tick : null;
    show(this.live, tick !== null);
    this.live.classList.toggle('gpl-mod-stale', state.kind === 'stale');
    if (tick && link) {
      this.overview.update(tick, link.history);
      const lines = this.feed.lines;
      link.chosen = this.feed.find(this.list.selected);
      this.list.show(lines);
      const shown = this.feed.matching || lines.length;
      setText(
        this.count,
        shown === tick.grains
          ? countText(tick.grains)
          : `${countText(shown)} of ${countText(tick.grains)}`
      );
    }
    this.enable(state);
  }

  private enable(state: State): void {
    const able = state.kind === 'live' ? state.hello.commands : [];
    const chosen = this.list.selected !== null;
    for (const [name, node] of this.actions) {
      const steering =
        name === 'park' || name === 'checkpoint' || name === 'deactivate' || name === 'release';
      const grain = (NEEDS_GRAIN as readonly string[]).includes(name);
      const disabled = (steering && !able.includes(name)) || (grain && !chosen);
      if (node.disabled !== disabled) {
        node.disabled = disabled;
      }
    }
  }

  private action(
    name: string,
    label: string,
    hint: string,
    pressed: () => void
  ): HTMLButtonElement {
    const made = button(label, pressed, { class: 'gpl-Button', title: hint, 'data-action': name });
    this.actions.set(name, made);
    return made;
  }

  private onChosen(what: string): void {
    const key = this.list.selected;
    if (key !== null) {
      this.command(what, key);
    }
  }

  private command(what: string, grain: string | null): void {
    const link = this.active.link;
    if (!link) {
      return;
    }
    const { id, acknowledged } = link.control.command(what, grain);
    const name = grain === null ? what : `${what} ${grain}`;
    this.waitingFor.set(id, name);
    this.say(`${name}: sent`, 'note');
    acknowledged
      .then(() => {
        if (this.waitingFor.has(id)) {
          this.say(`${name}: under way`, 'note');
        }
      })
      .catch((reason: unknown) => {
        this.waitingFor.delete(id);
        this.say(`${name}: ${reason instanceof Error ? reason.message : String(reason)}`, 'error');
      });
    // Without a subshell the answer comes between cells, and the banner says so meanwhile.
    window.setTimeout(() => this.schedule(), WAITING_MS + 100);
  }

  private onEnded(outcome: Outcome): void {
    const name = this.waitingFor.get(outcome.id);
    if (name !== undefined) {
      this.waitingFor.delete(outcome.id);
      this.say(`${name}: ${outcome.text}`, outcome.ok ? 'done' : 'error');
    }
  }

  private say(text: string, level: 'note' | 'done' | 'error'): void {
    this.said.dataset.level = level;
    setText(this.said, text);
  }

  private async release(): Promise<void> {
    const key = this.list.selected;
    if (key === null) {
      return;
    }
    const { button: pressed } = await showDialog({
      title: 'Release this grain’s memory?',
      body: `${key}: all of its allocations end, and handles to them are stale. Checkpoints stay.`,
      buttons: [Dialog.cancelButton(), Dialog.warnButton({ label: 'Release' })],
      defaultButton: 0
    });
    if (pressed.accept) {
      this.command('release', key);
    }
  }

  private insert(source: string, run: boolean): void {
    const panel = this.active.notebook;
    if (panel) {
      void insertCell(panel, source, run);
    }
  }
}
