/** Numbers as text, and the bounded past. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import * as format from '../src/model/format';
import { History } from '../src/model/history';

test('bytes, times and counts change their unit where the printed number would', () => {
  const bytes = [0, 1, 1023, 1024, 1536, 1048575, 1048576, 5 * 2 ** 40].map(format.bytesText);
  assert.deepEqual(bytes, [
    '0 B', '1 B', '1023 B', '1 KiB', '1.5 KiB', '1 MiB', '1 MiB', '5 TiB'
  ]); // prettier-ignore
  const times = [0, 127, 999.6, 1500, 2_500_000, 3e9].map(format.nanosecondsText);
  assert.deepEqual(times, ['0 ns', '127 ns', '1 µs', '1.5 µs', '2.5 ms', '3 s']);
  const counts = [0, 0.5, 12.4, 9999, 12_345, 1_234_567].map(format.countText);
  assert.deepEqual(counts, ['0', '0.5', '12', '9,999', '12.3 k', '1.23 M']);
});

test('what was not measured is a dash', () => {
  const { UNMEASURED } = format;
  assert.equal(format.bytesText(null), UNMEASURED);
  assert.equal(format.nanosecondsText(null), UNMEASURED);
  assert.equal(format.rateText(null), UNMEASURED);
  assert.equal(format.percentText(0, 0), UNMEASURED);
});

test('a shape reads as Python prints it', () => {
  assert.deepEqual([[], [3], [2, 3]].map(format.shapeText), ['()', '(3,)', '(2, 3)']);
});

test('history is bounded and keeps the newest', () => {
  const kept = new History(3);
  for (let time = 1; time <= 100; time++) {
    kept.add({ time });
  }
  assert.deepEqual(
    kept.since(0).map(row => row.time),
    [98, 99, 100]
  );
  assert.deepEqual(
    kept.since(99).map(row => row.time),
    [100]
  );
  assert.deepEqual(kept.since(100), []);
});

test('rows that are not newer are dropped', () => {
  const kept = new History(3);
  [5, 5, 4, 6].forEach(time => kept.add({ time }));
  assert.deepEqual(
    kept.since(0).map(row => row.time),
    [5, 6]
  );
});

test('the past of the kernel comes before what came meanwhile', () => {
  const kept = new History(4);
  kept.add({ time: 10 });
  kept.seed([{ time: 7 }, { time: 8 }, { time: 9 }, { time: 10 }, { time: 11 }]);
  assert.deepEqual(
    kept.since(0).map(row => row.time),
    [7, 8, 9, 10]
  );
});

test('a column that a kernel does not send is unmeasured', () => {
  const kept = new History(4);
  kept.add({ time: 1, rate: 5 });
  kept.add({ time: 2 });
  assert.deepEqual(kept.tail('rate', 9), [5, null]);
});
