import type { JupyterFrontEndPlugin } from '@jupyterlab/application';

/** Leave each activation in the page's performance timeline: what we add to Lab's start is seen. */
export function timed<T>(plugin: JupyterFrontEndPlugin<T>): JupyterFrontEndPlugin<T> {
  return {
    ...plugin,
    activate: (...args) => {
      const start = performance.now();
      try {
        return plugin.activate(...args);
      } finally {
        performance.measure(`activate ${plugin.id}`, { start, end: performance.now() });
      }
    }
  };
}
