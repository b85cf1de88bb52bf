/** Requests on the control comm, each with its one answer. */

import type { Kernel } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';
import { UUID } from '@lumino/coreutils';

import { Assembly } from '../wire/assembly';
import type { ControlFrame } from '../wire/frames';

type Buffer = ArrayBuffer | ArrayBufferView;

interface Pending {
  readonly resolve: (answer: unknown) => void;
  readonly reject: (reason: Error) => void;
  readonly sentAt: number;
  readonly assembly: Assembly;
}

export class Control {
  private comm: Kernel.IComm | null = null;
  private readonly pending = new Map<string, Pending>();

  attach(comm: Kernel.IComm): void {
    this.comm = comm;
  }

  /** When the oldest unanswered request was sent; null if all are answered. */
  get waitingSince(): number | null {
    let oldest: number | null = null;
    for (const { sentAt } of this.pending.values()) {
      oldest = oldest === null ? sentAt : Math.min(oldest, sentAt);
    }
    return oldest;
  }

  /** Ask; the answer is unknown until a guard has seen it. Rejects with what the kernel says. */
  query(what: string, data: JSONObject = {}): Promise<unknown> {
    return this.send({ op: 'query', what, ...data }).answer;
  }

  /** Tell the kernel to do something; the id is what its outcome on telemetry will carry. */
  command(what: string, grain: string | null): { id: string; acknowledged: Promise<unknown> } {
    const { id, answer } = this.send({ op: 'command', what, ...(grain === null ? {} : { grain }) });
    return { id, acknowledged: answer };
  }

  configure(data: JSONObject): Promise<unknown> {
    return this.send({ op: 'configure', ...data }).answer;
  }

  alive(): Promise<unknown> {
    return this.send({ op: 'alive' }).answer;
  }

  /** Take a frame. False if it answers nothing that was asked. */
  take(frame: ControlFrame, buffers: readonly Buffer[]): boolean {
    if (frame.kind === 'hello') {
      return true;
    }
    const waiting = frame.id === null ? undefined : this.pending.get(frame.id);
    if (!waiting || frame.id === null) {
      return false;
    }
    if (frame.kind === 'chunk') {
      const whole = waiting.assembly.add(frame, buffers[0]);
      if (whole === false) {
        return true;
      }
      this.pending.delete(frame.id);
      if (whole === null) {
        waiting.reject(new Error('the answer came broken'));
        return false;
      }
      waiting.resolve(waiting.assembly.json());
      return true;
    }
    this.pending.delete(frame.id);
    if (frame.kind === 'error') {
      waiting.reject(new Error(frame.text));
    } else {
      waiting.resolve(frame);
    }
    return true;
  }

  /** Nothing more will be answered. */
  end(why: string): void {
    this.comm = null;
    const left = [...this.pending.values()];
    this.pending.clear();
    left.forEach(each => each.reject(new Error(why)));
  }

  private send(data: JSONObject): { id: string; answer: Promise<unknown> } {
    const id = UUID.uuid4();
    const answer = new Promise<unknown>((resolve, reject) => {
      const comm = this.comm;
      if (!comm || comm.isDisposed) {
        reject(new Error('not connected to the kernel'));
        return;
      }
      this.pending.set(id, { resolve, reject, sentAt: Date.now(), assembly: new Assembly() });
      comm.send({ ...data, id });
    });
    return { id, answer };
  }
}
