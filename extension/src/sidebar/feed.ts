/** Where the list's rows come from: the tick while it holds all grains, else a page of the table. */

import type { Link } from '../kernel/link';
import type { Line, Order } from '../model/listing';
import { lines, matching, ordered } from '../model/listing';
import type { Grain, Handle, Tick } from '../wire/frames';
import { grainPage, handleList } from '../wire/guards';

const PAGE = 1000;
const HANDLES_EVERY_MS = 1000;

export class GrainFeed {
  filter = '';
  order: Order = { sort: 'rate', descending: true };
  /** Grains that match the filter, shown or not. */
  matching = 0;

  private readonly open = new Map<string, readonly Handle[] | string>();
  private grains: readonly Grain[] = [];
  private asked = false;
  private handlesAt = 0;
  private link: Link | null = null;

  /** @param changed Called when there are other rows than before. */
  constructor(private readonly changed: () => void) {}

  /** What is known of one grain. */
  find(key: string | null): Grain | null {
    return this.grains.find(grain => grain.key === key) ?? null;
  }

  get lines(): Line[] {
    return lines(this.grains, this.open);
  }

  /** Another kernel: nothing of the old one stays. */
  follow(link: Link | null): void {
    if (link !== this.link) {
      this.link = link;
      this.grains = [];
      this.matching = 0;
      this.open.clear();
      this.asked = false;
    }
  }

  take(tick: Tick): void {
    if (tick.grains <= tick.busiest.length) {
      this.grains = ordered(matching(tick.busiest, this.filter), this.order);
      this.matching = this.grains.length;
    } else {
      if (this.grains.length === 0) {
        this.grains = ordered(matching(tick.busiest, this.filter), this.order);
      }
      this.askForPage();
    }
    const now = Date.now();
    if (this.open.size > 0 && now - this.handlesAt > HANDLES_EVERY_MS) {
      this.handlesAt = now;
      [...this.open.keys()].forEach(key => this.askForHandles(key));
    }
  }

  toggle(key: string): void {
    if (this.open.delete(key)) {
      this.changed();
      return;
    }
    this.open.set(key, 'asking for its handles');
    this.askForHandles(key);
    this.changed();
  }

  private askForPage(): void {
    const link = this.link;
    if (!link || this.asked) {
      return; // dropped: the next tick asks anew
    }
    this.asked = true;
    const { filter, order } = this;
    link.control
      .query('grains', { count: PAGE, filter, sort: order.sort, descending: order.descending })
      .then(answer => {
        const page = grainPage(answer);
        if (!page) {
          link.dropped += 1;
        } else if (link === this.link && filter === this.filter && order === this.order) {
          this.grains = page.rows;
          this.matching = page.matching;
          this.changed();
        }
      })
      .catch(() => undefined) // the banner says that there is no connection
      .finally(() => {
        if (link === this.link) {
          this.asked = false;
        }
      });
  }

  private askForHandles(key: string): void {
    const link = this.link;
    link?.control
      .query('handles', { grain: key })
      .then(answer => {
        const found = handleList(answer);
        return found ? found.handles : 'the kernel sent something else';
      })
      .catch((reason: unknown) => (reason instanceof Error ? reason.message : String(reason)))
      .then(found => {
        if (link === this.link && this.open.has(key)) {
          this.open.set(key, found);
          this.changed();
        }
      })
      .catch(() => undefined);
  }
}
