/** One dockable chart: Python's document, drawn here, fed by telemetry. */

import type { IThemeManager } from '@jupyterlab/apputils';
import type { Message } from '@lumino/messaging';
import { Widget } from '@lumino/widgets';

import { button, element, setAttribute, setText } from '../dom';
import { grainsIcon } from '../icon';
import type { ActiveKernel } from '../kernel/active';
import type { Link } from '../kernel/link';
import { clockText } from '../model/format';
import type { State } from '../model/state';
import type { Row } from '../wire/frames';
import { COLUMNS } from '../wire/frames';
import { timeline } from '../wire/guards';
import type { BokehDocument, BokehRange, BokehSource } from './bokeh';
import { loadBokeh } from './bokeh';
import type { Figure } from './figures';
import { FIGURES } from './figures';

const SOURCE = 'gpures_lab.rows';
const LANES = 'gpures_lab.lanes';
const KEPT_ROWS = 600;
/** Nobody reads a timeline faster, and it costs most. */
const TIMELINE_MS = 500;

interface Drawn {
  readonly link: Link;
  readonly incarnation: string;
  readonly document: BokehDocument;
  readonly source: BokehSource;
  /** Of the timeline alone: its lanes. */
  readonly lanes: BokehRange | null;
}

export class Chart extends Widget {
  private readonly plot = element('div', { class: 'gpl-Chart-plot' });
  private readonly said = element('span', { role: 'status' });
  private readonly pauser: HTMLButtonElement;
  private drawn: Drawn | null = null;
  private drawing = false;
  private paused = false;
  private shownTo = 0;
  private shown = '';
  private asking = false;
  private askedAt = 0;
  private frame = 0;

  constructor(
    readonly figure: Figure,
    private readonly active: ActiveKernel,
    private readonly themes: IThemeManager | null
  ) {
    super();
    this.id = `gpures-lab-chart-${figure}`;
    this.addClass('gpl-Chart');
    this.title.label = FIGURES[figure];
    this.title.icon = grainsIcon;
    this.title.closable = true;
    this.node.setAttribute('role', 'region');
    this.node.setAttribute('aria-label', FIGURES[figure]);
    this.node.tabIndex = 0;
    this.pauser = button('Pause', () => this.pause(!this.paused), { class: 'gpl-Button' });
    this.plot.setAttribute('role', 'img');
    this.plot.setAttribute('aria-label', `${FIGURES[figure]} over time`);
    this.node.append(element('div', { class: 'gpl-Chart-bar' }, this.pauser, this.said), this.plot);
    active.changed.connect(this.onChanged, this);
    themes?.themeChanged.connect(this.onTheme, this);
    this.onChanged();
  }

  /** Stand still, or go on with everything that came meanwhile. */
  pause(paused: boolean): void {
    this.paused = paused;
    setText(this.pauser, paused ? 'Resume' : 'Pause');
    setAttribute(this.pauser, 'aria-pressed', String(paused));
    this.onChanged();
  }

  get isPaused(): boolean {
    return this.paused;
  }

  override dispose(): void {
    if (!this.isDisposed) {
      window.cancelAnimationFrame(this.frame);
      this.erase();
      super.dispose();
    }
  }

  protected override onAfterShow(message: Message): void {
    super.onAfterShow(message);
    this.onChanged();
  }

  protected override onAfterAttach(message: Message): void {
    super.onAfterAttach(message);
    this.onChanged();
  }

  private onTheme(): void {
    this.erase();
    this.onChanged();
  }

  private onChanged(): void {
    const { state } = this.active;
    this.say(state);
    if (state.kind === 'live' && this.isVisible) {
      const link = this.active.link;
      const { incarnation } = state.hello;
      if (this.drawn && (this.drawn.link !== link || this.drawn.incarnation !== incarnation)) {
        this.erase();
      }
      if (!this.drawn) {
        void this.draw(state);
      } else if (!this.paused) {
        this.schedule();
      }
    }
  }

  private say(state: State): void {
    const paused = this.paused ? 'Paused' : '';
    const text =
      state.kind === 'live'
        ? paused
        : state.kind === 'stale'
          ? `Stale since ${clockText(state.since)}`
          : state.kind === 'restarted'
            ? `Stale since the restart at ${clockText(state.at)}`
            : 'No grains in the active notebook’s kernel';
    setText(this.said, text);
  }

  private async draw(state: Extract<State, { kind: 'live' }>): Promise<void> {
    const link = this.active.link;
    const { bokeh: version, incarnation } = state.hello;
    if (!link || this.drawing) {
      return;
    }
    if (version === null) {
      setText(this.said, 'Charts need Bokeh in the kernel: pip install "gpures_lab[jupyter]"');
      return;
    }
    this.drawing = true;
    try {
      const bokeh = await loadBokeh(version, link.control);
      const theme = this.themes?.theme;
      const light = !theme || this.themes.isLight(theme);
      const item = await link.control.query('figure', {
        name: this.figure,
        theme: light ? 'light' : 'dark'
      });
      if (this.isDisposed || link.isDisposed || this.active.link !== link) {
        return;
      }
      this.plot.replaceChildren();
      const before = bokeh.documents.length;
      await bokeh.embed.embed_item(item, this.plot);
      const document = bokeh.documents[before];
      const source = document?.get_model_by_name(SOURCE) as BokehSource | null | undefined;
      if (!document || !source) {
        throw new Error('the document has no source to stream into');
      }
      const lanes = document.get_model_by_name(LANES) as BokehRange | null;
      this.drawn = { link, incarnation, document, source, lanes };
      this.shownTo = 0;
      this.shown = '';
      this.schedule();
    } catch (reason) {
      setText(this.said, reason instanceof Error ? reason.message : String(reason));
    } finally {
      this.drawing = false;
    }
  }

  private erase(): void {
    const drawn = this.drawn;
    this.drawn = null;
    drawn?.document.clear();
    this.plot.replaceChildren();
  }

  private schedule(): void {
    if (this.frame === 0) {
      this.frame = window.requestAnimationFrame(() => {
        this.frame = 0;
        this.stream();
      });
    }
  }

  private stream(): void {
    const drawn = this.drawn;
    if (!drawn || this.isDisposed || !this.isVisible) {
      return; // what is missed now is caught up with later
    }
    if (this.figure === 'timeline') {
      this.askForMessages(drawn);
      return;
    }
    const rows = drawn.link.history.since(this.shownTo);
    const last = rows[rows.length - 1];
    if (last) {
      drawn.source.stream(columnsOf(rows), KEPT_ROWS);
      this.shownTo = last.time;
    }
  }

  /** The kernel traces messages for as long as it is asked; a chart that is hidden does not ask. */
  private askForMessages(drawn: Drawn): void {
    const now = Date.now();
    if (this.asking || now - this.askedAt < TIMELINE_MS) {
      return;
    }
    this.asking = true;
    this.askedAt = now;
    drawn.link.control
      .query('timeline')
      .then(answer => {
        const found = timeline(answer);
        if (!found) {
          drawn.link.dropped += 1;
        } else if (this.drawn === drawn && drawn.lanes && !this.paused) {
          const shown = JSON.stringify(found);
          if (shown !== this.shown) {
            this.shown = shown;
            drawn.lanes.factors = found.lanes;
            drawn.source.data = found.columns;
          }
        }
      })
      .catch(() => undefined) // the bar says that there is no connection
      .finally(() => (this.asking = false));
  }
}

/** Rows as columns; BokehJS leaves a gap at NaN. */
function columnsOf(rows: readonly Row[]): Record<string, number[]> {
  const names = new Set<string>([...COLUMNS, ...rows.flatMap(row => Object.keys(row))]);
  return Object.fromEntries(
    [...names].map(name => [name, rows.map(row => row[name] ?? Number.NaN)])
  );
}
