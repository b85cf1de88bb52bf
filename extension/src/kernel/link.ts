/** Everything that is held for one kernel: two comms, two timers, and what is known. */

import type { Kernel, KernelMessage } from '@jupyterlab/services';
import { UUID } from '@lumino/coreutils';
import type { IDisposable } from '@lumino/disposable';
import type { ISignal } from '@lumino/signaling';
import { Signal } from '@lumino/signaling';

import { History } from '../model/history';
import type { News, State } from '../model/state';
import { next } from '../model/state';
import type { Outcome, TelemetryFrame } from '../wire/frames';
import { BEACON, CONTROL, TELEMETRY } from '../wire/frames';
import { controlFrame, history, telemetryFrame } from '../wire/guards';
import { openComm } from './comm';
import { Control } from './control';

export interface LinkOptions {
  readonly rate: number;
  readonly window: number;
}

const CLOCK_MS = 500;
const ALIVE_MS = 10_000;
const ASKING_MS = 500;
const CLOSING_MS = 2000;
const KEPT_ROWS = 600;

export class Link implements IDisposable {
  readonly history = new History(KEPT_ROWS);
  readonly control = new Control();
  /** Figures of the grain that is chosen in the list, for the charts that draw one beside all. */
  chosen: { readonly rate: number | null; readonly pending: number } | null = null;
  /** Frames that no guard let through, or that answered nothing. */
  dropped = 0;

  private current: State = { kind: 'absent' };
  private readonly stateSignal = new Signal<this, State>(this);
  private readonly outcomeSignal = new Signal<this, Outcome>(this);
  private readonly told = new Set<string>();
  private readonly client = UUID.uuid4();
  private comms: Kernel.IComm[] = [];
  private timers: number[] = [];
  private cellRan = false;
  private probing = false;
  private opening = false;
  private incarnation: string | null = null;
  private disposed = false;

  constructor(
    readonly kernel: Kernel.IKernelConnection,
    private options: LinkOptions
  ) {
    kernel.statusChanged.connect(this.onStatus, this);
    kernel.iopubMessage.connect(this.onIopub, this);
    if (!kernel.handleComms) {
      this.hear({ kind: 'unreachable' });
    } else {
      void this.probe();
    }
  }

  get state(): State {
    return this.current;
  }

  get stateChanged(): ISignal<this, State> {
    return this.stateSignal;
  }

  /** A command has ended; told once each. */
  get ended(): ISignal<this, Outcome> {
    return this.outcomeSignal;
  }

  get isDisposed(): boolean {
    return this.disposed;
  }

  configure(options: LinkOptions): void {
    this.options = options;
    if (this.comms.length === 2) {
      const { rate, window } = options;
      this.control.configure({ rate_hz: rate, window_s: window }).catch(() => undefined);
    }
  }

  /** Ask the kernel whether it has gpures_lab, and connect if so. Never logs anything there. */
  async probe(): Promise<void> {
    if (this.probing || this.opening || this.comms.length > 0 || this.disposed) {
      return;
    }
    this.probing = true;
    const timer = window.setTimeout(() => this.hear({ kind: 'asking' }), ASKING_MS);
    try {
      const reply = await this.kernel.requestCommInfo({ target_name: BEACON });
      const { content } = reply;
      if (content.status === 'ok' && Object.keys(content.comms).length > 0) {
        await this.open();
      } else {
        this.hear({ kind: 'closed' });
      }
    } catch {
      // The kernel went while it was asked; its status says so.
    } finally {
      window.clearTimeout(timer);
      this.probing = false;
    }
  }

  /** Drop the comms and connect anew. */
  async reconnect(): Promise<void> {
    this.closeComms();
    this.hear({ kind: 'closed' });
    await this.probe();
  }

  /** Say goodbye now; for a page that is being left. */
  closeComms(): void {
    const comms = this.comms;
    this.comms = [];
    this.timers.forEach(timer => window.clearInterval(timer));
    this.timers = [];
    this.control.end('the connection was closed');
    for (const comm of comms) {
      comm.onClose = () => undefined;
      comm.onMsg = () => undefined;
      if (!comm.isDisposed && !this.kernel.isDisposed) {
        comm.close();
      }
    }
  }

  dispose(): void {
    if (this.disposed) {
      return;
    }
    this.closeComms();
    this.disposed = true;
    Signal.clearData(this);
  }

  private async open(): Promise<void> {
    this.opening = true;
    this.hear({ kind: 'opening' });
    try {
      const closed = () => this.onClosed();
      const data = { client: this.client };
      const opened = await Promise.all([
        openComm(this.kernel, TELEMETRY, data, {
          message: found => this.onTelemetry(found),
          closed
        }),
        openComm(this.kernel, CONTROL, data, {
          message: (found, buffers) => this.onControl(found, buffers),
          closed
        })
      ]);
      this.comms = opened;
      if (this.disposed) {
        this.disposed = false;
        this.dispose(); // what was opened meanwhile
        return;
      }
      this.control.attach(opened[1]);
      this.timers = [
        window.setInterval(() => this.hear({ kind: 'clock', at: Date.now() }), CLOCK_MS),
        window.setInterval(() => this.sayAlive(), ALIVE_MS)
      ];
      this.configure(this.options);
      await this.seed();
    } catch {
      this.hear({ kind: 'closed' });
    } finally {
      this.opening = false;
    }
  }

  private async seed(): Promise<void> {
    try {
      this.history.seed(history(await this.control.query('history')) ?? []);
    } catch {
      // The past is a courtesy; charts begin with what comes.
    }
  }

  private sayAlive(): void {
    if (this.control.waitingSince === null) {
      this.control.alive().catch(() => undefined);
    }
  }

  private onTelemetry(data: unknown): void {
    const frame: TelemetryFrame | null = telemetryFrame(data);
    if (!frame) {
      this.dropped += 1;
      return;
    }
    if (frame.kind === 'hello') {
      if (this.incarnation !== null && this.incarnation !== frame.incarnation) {
        this.history.clear(); // another process: its pool and its clock are others
      }
      this.incarnation = frame.incarnation;
    }
    if (frame.kind === 'tick') {
      const { rate = null, pending = null } = this.chosen ?? {};
      this.history.add({ ...frame.row, grain_rate: rate, grain_pending: pending });
    }
    this.hear({ kind: 'frame', frame, at: Date.now() });
    if (this.current.kind === 'incompatible') {
      this.closeComms(); // nothing that it says could be understood
    }
    if (frame.kind !== 'hello') {
      frame.outcomes.filter(each => !this.told.has(each.id)).forEach(each => this.tell(each));
    }
  }

  private tell(outcome: Outcome): void {
    this.told.add(outcome.id);
    this.outcomeSignal.emit(outcome);
  }

  private onControl(data: unknown, buffers: readonly (ArrayBuffer | ArrayBufferView)[]): void {
    const frame = controlFrame(data);
    if (!frame || !this.control.take(frame, buffers)) {
      this.dropped += 1;
    }
  }

  /** The kernel has closed one: it closes the other too, and would miss it if it were gone. */
  private onClosed(): void {
    const left = this.comms;
    this.comms = [];
    this.closeComms();
    left.forEach(comm => (comm.onClose = () => undefined));
    window.setTimeout(() => {
      for (const comm of left) {
        if (!comm.isDisposed && !this.kernel.isDisposed) {
          comm.close();
        }
      }
    }, CLOSING_MS);
    this.hear({ kind: 'closed' });
  }

  private onStatus(_: Kernel.IKernelConnection, status: Kernel.Status): void {
    const at = Date.now();
    switch (status) {
      case 'restarting':
      case 'autorestarting':
        this.forget();
        this.hear({ kind: 'kernel-restarting', at });
        break;
      case 'dead':
        this.forget();
        this.hear({ kind: 'kernel-dead', at });
        break;
      default:
        break;
    }
  }

  /** The process is gone: there is nobody to say goodbye to. */
  private forget(): void {
    this.comms.forEach(comm => {
      comm.onClose = () => undefined;
      comm.dispose();
    });
    this.comms = [];
    this.closeComms();
  }

  private onIopub(_: Kernel.IKernelConnection, message: KernelMessage.IIOPubMessage): void {
    // After each cell: it may have loaded the extension, also by a file that it ran.
    if (message.header.msg_type === 'execute_input') {
      this.cellRan = true;
    } else if (this.cellRan && message.header.msg_type === 'status') {
      const { execution_state: state } = message.content as { execution_state?: string };
      if (state === 'idle') {
        this.cellRan = false;
        void this.probe();
      }
    }
  }

  private hear(news: News): void {
    if (this.disposed) {
      return;
    }
    const before = this.current;
    this.current = next(before, news);
    if (this.current !== before) {
      this.stateSignal.emit(this.current);
    }
  }
}
