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
    sort: 'mean_ns',
    title: 'service',
    hint: 'Mean service time over the window; percentiles are counted per device only',
    style: 'mean',
    text: grain => format.nanosecondsText(grain.mean_ns)
  },
  {
    sort: 'pending',
    title: 'queue',
    hint: 'Messages pending',
    style: 'pending',
    text: grain => format.countText(grain.pending)
  }
];
