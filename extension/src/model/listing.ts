/** The list of grains as lines: which order, which are open, where the cursor is. */

import type { Grain, Handle, Sort } from '../wire/frames';

export interface Order {
  readonly sort: Sort;
  readonly descending: boolean;
}

export type Line =
  | { readonly kind: 'grain'; readonly grain: Grain; readonly open: boolean }
  | { readonly kind: 'figures'; readonly owner: string; readonly grain: Grain }
  | { readonly kind: 'handle'; readonly owner: string; readonly handle: Handle }
  | { readonly kind: 'note'; readonly owner: string; readonly text: string };

/** Order grains as the kernel does: by the field, then by key. */
export function ordered(grains: readonly Grain[], order: Order): Grain[] {
  const sign = order.descending ? -1 : 1;
  return [...grains].sort(
    (one, other) => sign * compared(one[order.sort], other[order.sort]) || text(one.key, other.key)
  );
}

export function matching(grains: readonly Grain[], filter: string): readonly Grain[] {
  const needle = filter.toLowerCase();
  return needle ? grains.filter(grain => grain.key.toLowerCase().includes(needle)) : grains;
}

/** One line a grain; below an open one its figures, and its handles or why none are shown. */
export function lines(
  grains: readonly Grain[],
  open: ReadonlyMap<string, readonly Handle[] | string>
): Line[] {
  return grains.flatMap((grain): Line[] => {
    const found = open.get(grain.key);
    const first: Line = { kind: 'grain', grain, open: found !== undefined };
    if (found === undefined) {
      return [first];
    }
    const figures: Line = { kind: 'figures', owner: grain.key, grain };
    if (typeof found === 'string') {
      return [first, figures, { kind: 'note', owner: grain.key, text: found }];
    }
    if (found.length === 0) {
      return [first, figures, { kind: 'note', owner: grain.key, text: 'no allocations' }];
    }
    const rest = found.map((handle): Line => ({ kind: 'handle', owner: grain.key, handle }));
    return [first, figures, ...rest];
  });
}

export function ownerOf(line: Line): string {
  return line.kind === 'grain' ? line.grain.key : line.owner;
}

function compared(one: string | number | null, other: string | number | null): number {
  if (one === null || other === null) {
    return Number(one !== null) - Number(other !== null);
  }
  if (typeof one === 'string' || typeof other === 'string') {
    return text(String(one), String(other));
  }
  return one - other;
}

function text(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}
