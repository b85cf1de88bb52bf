/** One comm of ours, opened so that it is served while a cell runs wherever that is possible. */

import type { Kernel, KernelMessage } from '@jupyterlab/services';
import type { JSONObject } from '@lumino/coreutils';

type Buffers = readonly (ArrayBuffer | ArrayBufferView)[];

/** JupyterLab 4.4 and later; asked for by hand, because 4.2 has none of it. */
interface SubshellComm {
  readonly subshellStarted?: Promise<void>;
  readonly commsOverSubshells?: string;
}

const SUBSHELL_LIMIT_MS = 5000;

export interface CommEvents {
  message(data: unknown, buffers: Buffers): void;
  closed(): void;
}

/**
 * Open a comm to a target.
 *
 * The subshell comes first: a comm opened before it exists is served by the main shell, behind the
 * running cell. Where comms go over no subshell it is opened at once, and waits like everything.
 */
export async function openComm(
  kernel: Kernel.IKernelConnection,
  target: string,
  data: JSONObject,
  events: CommEvents
): Promise<Kernel.IComm> {
  await kernel.info;
  const comm = kernel.createComm(target);
  comm.onMsg = (message: KernelMessage.ICommMsgMsg) => {
    events.message(message.content.data, message.buffers ?? []);
  };
  comm.onClose = () => events.closed();
  await subshellOf(kernel, comm);
  if (!comm.isDisposed) {
    comm.open(data);
  }
  return comm;
}

async function subshellOf(kernel: Kernel.IKernelConnection, comm: Kernel.IComm): Promise<void> {
  const { subshellStarted, commsOverSubshells } = comm as SubshellComm;
  const supported = (kernel as { readonly supportsSubshells?: boolean }).supportsSubshells;
  if (!supported || !subshellStarted || commsOverSubshells === 'disabled') {
    return; // the promise would never be kept
  }
  let timer = 0;
  const limit = new Promise<void>(resolve => {
    timer = window.setTimeout(resolve, SUBSHELL_LIMIT_MS);
  });
  try {
    await Promise.race([subshellStarted, limit]);
  } catch {
    // The kernel refused one: the main shell serves the comm, between cells.
  } finally {
    window.clearTimeout(timer);
  }
}
