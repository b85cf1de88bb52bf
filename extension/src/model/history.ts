/** The rows of the last minutes: bounded, oldest first, so that a chart opened late catches up. */

import type { Row } from '../wire/frames';

export class History {
  private rows: Row[] = [];

  constructor(private limit: number) {}

  /** Keep a row; one that is not newer than the last is dropped. */
  add(row: Row): void {
    const last = this.rows[this.rows.length - 1];
    if (last && row.time <= last.time) {
      return;
    }
    this.rows.push(row);
    if (this.rows.length > this.limit * 2) {
      this.rows = this.rows.slice(-this.limit); // now and then, not at each row
    }
  }

  /** Put the kernel's past before what came meanwhile. */
  seed(past: readonly Row[]): void {
    const first = this.rows[0];
    const older = first ? past.filter(row => row.time < first.time) : [...past];
    this.rows = [...older, ...this.rows].slice(-this.limit);
  }

  /** Rows newer than `time`, oldest first, at most the limit. */
  since(time: number): readonly Row[] {
    const kept = this.rows.slice(-this.limit);
    const from = kept.findIndex(row => row.time > time);
    return from < 0 ? [] : kept.slice(from);
  }

  /** The last `count` values of a column. */
  tail(column: string, count: number): readonly (number | null)[] {
    return this.rows.slice(-count).map(row => row[column] ?? null);
  }

  clear(): void {
    this.rows = [];
  }
}
