/** The upper part: engine, driver, pool, totals. */

import { element, setAttribute, setText } from '../dom';
import type { History } from '../model/history';
import * as format from '../model/format';
import type { Tick } from '../wire/frames';
import { Sparkline } from './sparkline';

const SPARKS = 60;

interface Tile {
  readonly node: HTMLElement;
  readonly value: HTMLElement;
  readonly spark: Sparkline;
}

export class Overview {
  readonly node = element('section', { class: 'gpl-Overview', 'aria-label': 'Engine' });
  private readonly engine = element('span', { class: 'gpl-Engine' });
  private readonly driver = element('span', { class: 'gpl-Driver' });
  private readonly used = element('span', { class: 'gpl-Pool-used' });
  private readonly idle = element('span', { class: 'gpl-Pool-idle' });
  private readonly poolText = element('div', { class: 'gpl-Pool-text' });
  private readonly meter: HTMLElement;
  private readonly rate = tile('messages/s');
  private readonly queue = tile('queue');
  private readonly latency = tile('service p50 · p99');
  private readonly held = element('div', { class: 'gpl-Pool-text' });

  constructor() {
    this.meter = element(
      'div',
      {
        class: 'gpl-Pool-bar',
        role: 'meter',
        'aria-label': 'Memory pool',
        'aria-valuemin': '0',
        'aria-valuemax': '100'
      },
      this.used,
      this.idle
    );
    this.latency.node.classList.add('gpl-mod-wide');
    const tiles = [this.rate, this.queue, this.latency].map(each => each.node);
    this.node.append(
      element('div', { class: 'gpl-Engine-line' }, this.engine, this.driver),
      element('div', { class: 'gpl-Pool' }, this.meter, this.poolText, this.held),
      element('dl', { class: 'gpl-Tiles' }, ...tiles)
    );
  }

  update(tick: Tick, history: History): void {
    const { row } = tick;
    const used = row.used ?? 0;
    const idle = row.idle ?? 0;
    setAttribute(this.engine, 'data-state', tick.engine);
    setText(this.engine, format.engineText(tick.engine));
    setText(this.driver, `${tick.driver} · ${tick.device}`);
    setAttribute(this.driver, 'title', `${tick.driver} · ${tick.device}`);
    const percent = tick.limit > 0 ? (100 * used) / tick.limit : 0;
    const idlePercent = tick.limit > 0 ? (100 * idle) / tick.limit : 0;
    this.used.style.width = `${Math.min(100, percent).toFixed(2)}%`;
    this.idle.style.width = `${Math.min(100 - percent, idlePercent).toFixed(2)}%`;
    setAttribute(this.meter, 'aria-valuenow', percent.toFixed(0));
    const text =
      `${format.bytesText(used)} used · ${format.bytesText(idle)} pooled` +
      ` · limit ${format.bytesText(tick.limit)}`;
    setText(this.poolText, text);
    setAttribute(this.meter, 'aria-valuetext', text);
    setText(this.rate.value, format.rateText(row.rate ?? null));
    setText(
      this.latency.value,
      `${format.nanosecondsText(row.service_p50 ?? null)} · ` +
        format.nanosecondsText(row.service_p99 ?? null)
    );
    setText(this.queue.value, format.countText(row.pending ?? 0));
    setText(
      this.held,
      `${format.countText(tick.allocations)} allocations of ${format.bytesText(tick.bytes)} ` +
        `in ${format.countText(tick.grains)} grains`
    );
    this.rate.spark.draw(history.tail('rate', SPARKS));
    this.latency.spark.draw(history.tail('service_p50', SPARKS));
    this.queue.spark.draw(history.tail('pending', SPARKS));
  }
}

function tile(name: string): Tile {
  const value = element('dd', {});
  const spark = new Sparkline();
  const node = element('div', { class: 'gpl-Tile' }, element('dt', {}, name), value, spark.node);
  return { node, value, spark };
}
