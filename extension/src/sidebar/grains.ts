/** The list: as many rows in the page as fit on it, whatever the number of grains. */

import { element, setAttribute, setText, show } from '../dom';
import { bytesText, shapeText } from '../model/format';
import type { Line, Order } from '../model/listing';
import { ownerOf } from '../model/listing';
import { COLUMNS_SHOWN, figuresText } from './columns';

const ROW_PX = 24;
const SPARE = 4;

export interface GrainListEvents {
  order(order: Order): void;
  chosen(key: string | null): void;
  toggled(key: string): void;
}

interface RowNode {
  readonly node: HTMLElement;
  readonly twist: HTMLElement;
  readonly dot: HTMLElement;
  readonly cells: readonly HTMLElement[];
}

export class GrainList {
  readonly node: HTMLElement;
  private readonly head = element('div', { class: 'gpl-Grid-head', role: 'row' });
  private readonly body = element('div', { class: 'gpl-Grid-body', role: 'rowgroup' });
  private readonly spacer = element('div', { class: 'gpl-Grid-spacer', role: 'presentation' });
  private readonly scroller: HTMLElement;
  private readonly rows: RowNode[] = [];
  private lines: readonly Line[] = [];
  private cursor = -1;
  private chosen: string | null = null;
  private order: Order = { sort: 'rate', descending: true };

  constructor(private readonly events: GrainListEvents) {
    for (const column of COLUMNS_SHOWN) {
      const sorter = element(
        'button',
        { type: 'button', title: `Sort by ${column.hint.toLowerCase()}`, tabindex: '0' },
        column.title
      );
      sorter.addEventListener('click', () => this.sortBy(column.sort));
      const cell = element(
        'div',
        { role: 'columnheader', class: `gpl-Cell gpl-mod-${column.style}` },
        sorter
      );
      this.head.append(cell);
    }
    this.body.append(this.spacer);
    this.scroller = element('div', { class: 'gpl-Grid-scroll', role: 'presentation' }, this.body);
    this.node = element(
      'div',
      { class: 'gpl-Grid', role: 'treegrid', 'aria-label': 'Grains', tabindex: '0' },
      element('div', { role: 'rowgroup', class: 'gpl-Grid-headgroup' }, this.head),
      this.scroller
    );
    this.scroller.addEventListener('scroll', () => this.paint());
    this.body.addEventListener('click', event => this.onClick(event));
    this.body.addEventListener('mouseover', event => this.onHover(event));
    this.node.addEventListener('keydown', event => this.onKey(event));
    this.markOrder();
  }

  get selected(): string | null {
    return this.chosen;
  }

  show(lines: readonly Line[]): void {
    this.lines = lines;
    setAttribute(this.node, 'aria-rowcount', String(lines.length + 1));
    const height = `${lines.length * ROW_PX}px`;
    if (this.spacer.style.height !== height) {
      this.spacer.style.height = height;
    }
    if (this.chosen !== null) {
      // The order moves under the cursor: it stays on its grain.
      const line = this.lines[this.cursor];
      if (!line || ownerOf(line) !== this.chosen) {
        this.cursor = lines.findIndex(each => ownerOf(each) === this.chosen);
        if (this.cursor < 0) {
          this.choose(-1);
        }
      }
    }
    this.paint();
  }

  /** Draw what is in view; called again when the panel's size changed. */
  paint(): void {
    const first = Math.max(0, Math.floor(this.scroller.scrollTop / ROW_PX) - SPARE);
    const fits = Math.ceil(this.scroller.clientHeight / ROW_PX) + 2 * SPARE;
    const count = Math.min(fits, this.lines.length - first);
    while (this.rows.length < count) {
      const made = rowNode(this.rows.length);
      this.rows.push(made);
      this.body.append(made.node);
    }
    this.rows.forEach((row, index) => {
      const line = this.lines[first + index];
      const visible = index < count && line !== undefined;
      show(row.node, visible);
      if (visible) {
        this.fill(row, line, first + index);
      }
    });
    const active = this.cursor - first;
    const drawn = active >= 0 && active < count ? this.rows[active]?.node.id : undefined;
    setAttribute(this.node, 'aria-activedescendant', drawn ?? null);
  }

  private fill(row: RowNode, line: Line, index: number): void {
    const { node, twist, dot, cells } = row;
    const transform = `translateY(${index * ROW_PX}px)`;
    if (node.style.transform !== transform) {
      node.style.transform = transform;
    }
    setAttribute(node, 'data-index', String(index));
    setAttribute(node, 'data-kind', line.kind);
    setAttribute(node, 'aria-rowindex', String(index + 2));
    setAttribute(node, 'aria-level', line.kind === 'grain' ? '1' : '2');
    setAttribute(node, 'aria-selected', index === this.cursor ? 'true' : 'false');
    setAttribute(node, 'aria-expanded', line.kind === 'grain' ? String(line.open) : null);
    setAttribute(node, 'data-state', line.kind === 'grain' ? line.grain.state : null);
    setText(twist, line.kind === 'grain' ? (line.open ? '▾' : '▸') : '');
    // Read aloud where the column of states is too wide to be shown.
    setAttribute(dot, 'aria-label', line.kind === 'grain' ? line.grain.state : null);
    setAttribute(dot, 'role', line.kind === 'grain' ? 'img' : 'presentation');
    const texts = textsOf(line);
    cells.forEach((cell, column) => setText(cell, texts[column] ?? ''));
  }

  private sortBy(sort: Order['sort']): void {
    const again = this.order.sort === sort;
    // Names from A, numbers from the largest.
    const descending = again ? !this.order.descending : sort !== 'key' && sort !== 'state';
    this.order = { sort, descending };
    this.markOrder();
    this.events.order(this.order);
  }

  private markOrder(): void {
    COLUMNS_SHOWN.forEach((column, index) => {
      const cell = this.head.children[index];
      if (cell) {
        const direction = this.order.descending ? 'descending' : 'ascending';
        setAttribute(cell, 'aria-sort', column.sort === this.order.sort ? direction : 'none');
      }
    });
  }

  /** All of a row, where somebody points: written at each tick it would cost a third of it. */
  private onHover(event: MouseEvent): void {
    const { node, index } = at(event);
    const line = this.lines[index];
    if (node && line) {
      setAttribute(node, 'title', hintOf(line));
    }
  }

  private onClick(event: MouseEvent): void {
    const { target, index } = at(event);
    const line = this.lines[index];
    if (!line) {
      return;
    }
    this.choose(index);
    if (line.kind === 'grain' && target?.closest('.gpl-Twist')) {
      this.events.toggled(line.grain.key);
    }
    this.paint();
  }

  private onKey(event: KeyboardEvent): void {
    const line = this.lines[this.cursor];
    const last = this.lines.length - 1;
    const page = Math.max(1, Math.floor(this.scroller.clientHeight / ROW_PX) - 1);
    const to: Readonly<Record<string, number>> = {
      ArrowDown: Math.min(last, this.cursor + 1),
      ArrowUp: Math.max(0, this.cursor - 1),
      PageDown: Math.min(last, this.cursor + page),
      PageUp: Math.max(0, this.cursor - page),
      Home: 0,
      End: last
    };
    const wanted = to[event.key];
    if (event.target instanceof HTMLButtonElement) {
      return; // a header's own Enter and Space
    }
    if (wanted !== undefined && last >= 0) {
      this.choose(wanted);
      this.reveal(wanted);
    } else if (line && this.isToggle(event.key, line)) {
      this.events.toggled(ownerOf(line));
    } else if (event.key === 'Escape') {
      this.choose(-1);
    } else {
      return;
    }
    event.preventDefault();
    event.stopPropagation();
    this.paint();
  }

  private isToggle(key: string, line: Line): boolean {
    const open = line.kind !== 'grain' || line.open;
    return (
      key === 'Enter' ||
      key === ' ' ||
      (key === 'ArrowRight' && !open) ||
      (key === 'ArrowLeft' && open)
    );
  }

  private choose(index: number): void {
    const line = this.lines[index];
    const chosen = line ? ownerOf(line) : null;
    this.cursor = line ? index : -1;
    if (chosen !== this.chosen) {
      this.chosen = chosen;
      this.events.chosen(chosen);
    }
  }

  private reveal(index: number): void {
    const top = index * ROW_PX;
    const { scrollTop, clientHeight } = this.scroller;
    if (top < scrollTop) {
      this.scroller.scrollTop = top;
    } else if (top + ROW_PX > scrollTop + clientHeight) {
      this.scroller.scrollTop = top + ROW_PX - clientHeight;
    }
  }
}

let made = 0;

function rowNode(_index: number): RowNode {
  made += 1;
  const twist = element('span', { class: 'gpl-Twist', 'aria-hidden': 'true' });
  const dot = element('span', { class: 'gpl-Dot' });
  const cells = COLUMNS_SHOWN.map(column =>
    element('span', { class: column.style === 'key' ? 'gpl-Key' : '' })
  );
  const node = element('div', { class: 'gpl-Row', role: 'row', id: `gpl-row-${made}` });
  COLUMNS_SHOWN.forEach((column, index) => {
    const cell = cells[index];
    if (cell) {
      const parts = column.style === 'key' ? [twist, dot, cell] : [cell];
      node.append(
        element('div', { role: 'gridcell', class: `gpl-Cell gpl-mod-${column.style}` }, ...parts)
      );
    }
  });
  return { node, twist, dot, cells };
}

function at(event: MouseEvent): {
  target: Element | null;
  node: HTMLElement | null;
  index: number;
} {
  const target = event.target instanceof Element ? event.target : null;
  const node = target?.closest<HTMLElement>('[data-index]') ?? null;
  return { target, node, index: Number(node?.dataset.index ?? -1) };
}

/** All of the line: a narrow sidebar shows less. */
function hintOf(line: Line): string {
  const texts = textsOf(line);
  if (line.kind !== 'grain') {
    return texts.filter(Boolean).join('  ');
  }
  return COLUMNS_SHOWN.map((column, index) => `${column.title} ${texts[index]}`).join(' · ');
}

function textsOf(line: Line): readonly string[] {
  switch (line.kind) {
    case 'grain':
      return COLUMNS_SHOWN.map(column => column.text(line.grain));
    case 'figures':
      return [figuresText(line.grain)];
    case 'handle': {
      const { name, dtype, shape, bytes } = line.handle;
      return [`${name}  ${dtype} ${shapeText(shape)}`, '', '', bytesText(bytes)];
    }
    case 'note':
      return [line.text];
  }
}
