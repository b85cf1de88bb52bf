/** Follows the active notebook: one link, to its kernel, for as long as that is in front. */

import type { INotebookTracker, NotebookPanel } from '@jupyterlab/notebook';
import type { Kernel } from '@jupyterlab/services';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import type { State } from '../model/state';
import { INITIAL } from '../model/state';
import type { Outcome } from '../wire/frames';
import type { LinkOptions } from './link';
import { Link } from './link';

export class ActiveKernel implements IDisposable {
  private link_: Link | null = null;
  private readonly changedSignal = new Signal<this, State>(this);
  private readonly endedSignal = new Signal<this, Outcome>(this);
  private readonly watched = new Set<NotebookPanel>();
  private disposed = false;

  constructor(
    private readonly tracker: INotebookTracker,
    private options: LinkOptions
  ) {
    tracker.currentChanged.connect(this.follow, this);
    tracker.forEach(panel => this.watch(panel));
    tracker.widgetAdded.connect((_, panel) => this.watch(panel), this);
    window.addEventListener('pagehide', this.leave);
    this.follow();
  }

  get link(): Link | null {
    return this.link_;
  }

  get state(): State {
    return this.link_?.state ?? INITIAL;
  }

  /** Another state, or another kernel. */
  get changed(): ISignal<this, State> {
    return this.changedSignal;
  }

  get ended(): ISignal<this, Outcome> {
    return this.endedSignal;
  }

  get notebook(): NotebookPanel | null {
    return this.tracker.currentWidget;
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  configure(options: LinkOptions): void {
    this.options = options;
    this.link_?.configure(options);
  }

  dispose(): void {
    if (this.disposed) {
      return;
    }
    this.disposed = true;
    window.removeEventListener('pagehide', this.leave);
    this.link_?.dispose();
    Signal.clearData(this);
  }

  private watch(panel: NotebookPanel): void {
    if (this.watched.has(panel)) {
      return;
    }
    this.watched.add(panel);
    panel.sessionContext.kernelChanged.connect(this.follow, this);
    panel.disposed.connect(() => {
      this.watched.delete(panel);
      this.follow();
    }, this);
  }

  private follow(): void {
    if (this.disposed) {
      return;
    }
    const wanted = this.connection();
    const link = this.link_;
    if (link && wanted && link.kernel === wanted && !wanted.isDisposed) {
      return;
    }
    if (!link && !wanted) {
      return;
    }
    link?.dispose();
    this.link_ = wanted ? new Link(wanted, this.options) : null;
    this.link_?.stateChanged.connect((_, state) => this.changedSignal.emit(state));
    this.link_?.ended.connect((_, outcome) => this.endedSignal.emit(outcome));
    this.changedSignal.emit(this.state);
  }

  /**
   * The connection to use: of several notebooks on one kernel only one carries comms, and it need
   * not be the one in front.
   */
  private connection(): Kernel.IKernelConnection | null {
    const own = this.tracker.currentWidget?.sessionContext.session?.kernel ?? null;
    if (!own || own.handleComms) {
      return own;
    }
    const others = [...this.watched].map(panel => panel.sessionContext.session?.kernel);
    return others.find(each => each?.id === own.id && each.handleComms) ?? own;
  }

  private readonly leave = (): void => this.link_?.closeComms();
}
