/** The charts there are: names as Python knows them, titles as people do. */

export const FIGURES = {
  pool: 'Memory pool',
  throughput: 'Throughput',
  latency: 'Latency',
  queue: 'Queue depth',
  kernels: 'Kernel cache',
  timeline: 'Timeline'
} as const;

export type Figure = keyof typeof FIGURES;

export function isFigure(name: unknown): name is Figure {
  return typeof name === 'string' && Object.hasOwn(FIGURES, name);
}
