/** Numbers as people read them. What was not measured is a dash, never a zero. */

export const UNMEASURED = '–';

export function bytesText(bytes: number | null): string {
  return bytes === null ? UNMEASURED : scaled(bytes, 1024, ['B', 'KiB', 'MiB', 'GiB', 'TiB']);
}

export function nanosecondsText(ns: number | null): string {
  return ns === null ? UNMEASURED : scaled(ns, 1000, ['ns', 'µs', 'ms', 's']);
}

export function rateText(perSecond: number | null): string {
  return perSecond === null ? UNMEASURED : countText(perSecond);
}

/** 1,234 stays whole, 12,345 becomes 12.3 k. */
export function countText(count: number): string {
  if (count < 10_000) {
    return count < 10 && count !== Math.round(count)
      ? count.toFixed(1)
      : Math.round(count).toLocaleString('en-US');
  }
  return scaled(count / 1000, 1000, ['k', 'M', 'G', 'T']);
}

export function percentText(part: number, whole: number): string {
  return whole > 0 ? `${Math.round((100 * part) / whole)} %` : UNMEASURED;
}

export function clockText(atMs: number): string {
  const at = new Date(atMs);
  return [at.getHours(), at.getMinutes(), at.getSeconds()]
    .map(part => String(part).padStart(2, '0'))
    .join(':');
}

export function shapeText(shape: readonly number[]): string {
  return shape.length === 1 ? `(${shape[0]},)` : `(${shape.join(', ')})`;
}

/** Engine states are shouted by the engine and spoken by people. */
export function engineText(state: string): string {
  return state.toLowerCase().replaceAll('_', ' ');
}

function scaled(value: number, base: number, units: readonly string[]): string {
  let unit = 0;
  let left = value;
  // 1023.6 KiB would print as 1024 KiB: the unit changes where the rounded number would.
  while (Math.round(left) >= base && unit + 1 < units.length) {
    left /= base;
    unit += 1;
  }
  const digits = left >= 100 || Number.isInteger(left) ? 0 : left >= 10 ? 1 : 2;
  return `${digits === 0 ? Math.round(left) : Number(left.toFixed(digits))} ${units[unit] ?? ''}`;
}
