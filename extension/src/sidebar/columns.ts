/** Columns of the list: what they sort by, how they print, and which stay when it gets narrow. */

import * as format from '../model/format';
import type { Grain, Sort } from '../wire/frames';

export interface ColumnOf {
  readonly sort: Sort;
  readonly title: string;
  readonly hint: string;
  readonly style: string;
  readonly text: (grain: Grain) => string;
}

export const COLUMNS_SHOWN: readonly ColumnOf[] = [
  { sort: 'key', title: 'grain', hint: 'Key', style: 'key', text: grain => grain.key },
  { sort: 'state', title: 'state', hint: 'State', style: 'state', text: grain => grain.state },
  { sort: 'ring', title: 'ring', hint: 'Ring', style: 'ring', text: grain => String(grain.ring) },
  {
    sort: 'bytes',
    title: 'bytes',
    hint: 'Bytes allocated',
    style: 'bytes',
    text: grain => format.bytesText(grain.bytes)
  },
  {
    sort: 'rate',
    title: 'msg/s',
    hint: 'Messages a second',
    style: 'rate',
    text: grain => format.rateText(grain.rate)
  },
  {
    sort: 'service_p50_ns',
    title: 'p50',
    hint: 'Service time of half the messages of the window, at most 25 % high',
    style: 'p50',
    text: grain => format.nanosecondsText(grain.service_p50_ns)
  },
  {
    sort: 'service_p99_ns',
    title: 'p99',
    hint: 'Service time of all but one in a hundred messages of the window, at most 25 % high',
    style: 'p99',
    text: grain => format.nanosecondsText(grain.service_p99_ns)
  },
  {
    sort: 'pending',
    title: 'queue',
    hint: 'Messages pending',
    style: 'pending',
    text: grain => format.countText(grain.pending)
  }
];

/** What a narrow list has no columns for, as the first line below an open grain. */
export function figuresText(grain: Grain): string {
  const { nanosecondsText, countText } = format;
  const service = `p50 ${nanosecondsText(grain.service_p50_ns)}, p99 ${nanosecondsText(grain.service_p99_ns)}`;
  return `${grain.state} · queue ${countText(grain.pending)} · ${service} · ring ${grain.ring}`;
}
