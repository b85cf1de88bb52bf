/** Cells that the extension offers to insert. */

import type { NotebookPanel } from '@jupyterlab/notebook';
import { NotebookActions } from '@jupyterlab/notebook';

/** The first steps of the README, of the quickstart and of the empty sidebar are the same. */
export const FIRST_CELL = [
  '%load_ext gpures_lab',
  "from sklearn.datasets import load_digits; px = load_digits().data.astype('f4')",
  '%grain_alloc x --from px'
].join('\n');

export const LOAD_CELL = '%load_ext gpures_lab';
export const DASHBOARD_CELL = '%grain_dashboard';

/** A cell that takes hold of a grain, whatever its key contains. */
export function grainCell(key: string): string {
  // JSON's escapes are Python's too, but for lone surrogates, which no key has.
  return `import gpures_lab as gl\ngrain = gl.manager().grain(${JSON.stringify(key)})\ngrain.handles`;
}

/** Insert a code cell below the active one, or use that if it is empty; optionally run it. */
export async function insertCell(
  panel: NotebookPanel,
  source: string,
  run: boolean
): Promise<void> {
  const notebook = panel.content;
  const active = notebook.activeCell?.model;
  if (active?.type !== 'code' || active.sharedModel.getSource().trim() !== '') {
    NotebookActions.insertBelow(notebook);
  }
  notebook.activeCell?.model.sharedModel.setSource(source);
  notebook.activate();
  if (run) {
    await NotebookActions.run(notebook, panel.sessionContext);
  }
}
