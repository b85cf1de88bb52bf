/** The door: Python's own frames pass, and nothing that is off by anything does. */

import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

import { Assembly } from '../src/wire/assembly';
import { COLUMNS, PROTOCOL_MAJOR, ROW_FIELDS } from '../src/wire/frames';
import {
  controlFrame,
  grainPage,
  handleList,
  history,
  telemetryFrame,
  timeline
} from '../src/wire/guards';

type Json = Record<string, unknown>;

const GOLDEN = JSON.parse(
  readFileSync(join(process.cwd(), '..', 'tests', 'views', 'golden', 'frames.json'), 'utf8')
) as Record<string, Json>;

function golden(name: string): Json {
  const found = GOLDEN[name];
  assert.ok(found, name);
  return structuredClone(found);
}

test('both sides name the same columns and fields, in the same order', () => {
  assert.deepEqual(GOLDEN.columns, [...COLUMNS]);
  assert.deepEqual(GOLDEN.row_fields, [...ROW_FIELDS]);
  assert.deepEqual((GOLDEN.hello?.protocol as number[])[0], PROTOCOL_MAJOR);
});

test('every golden telemetry frame passes', () => {
  for (const name of ['hello', 'idle', 'tick']) {
    assert.equal(telemetryFrame(golden(name))?.kind, name);
  }
});

test('every golden control frame passes', () => {
  for (const name of ['hello', 'ack', 'error', 'chunk']) {
    assert.equal(controlFrame(golden(name))?.kind, name);
  }
});

test('a kernel that sends no percentiles of grains is understood', () => {
  const frame = golden('tick');
  const older = (frame.busiest as unknown[][]).map(row => row.slice(0, 10));
  const tick = telemetryFrame({ ...frame, busiest: older });
  assert.ok(tick?.kind === 'tick');
  assert.equal(tick.busiest[0]?.mean_ns, 640);
  assert.equal(tick.busiest[0]?.service_p50_ns, null);
});

test('a tick keeps its numbers', () => {
  const tick = telemetryFrame(golden('tick'));
  assert.ok(tick?.kind === 'tick');
  assert.equal(tick.row.used, 6144);
  assert.equal(tick.row.round_trip_p50, null);
  assert.equal(tick.busiest[0]?.key, '<img src=x onerror=alert(1)>');
  assert.equal(tick.busiest[0]?.mean_ns, 640);
  assert.equal(tick.busiest[0]?.service_p50_ns, 575);
  assert.equal(tick.busiest[0]?.service_p99_ns, 1279);
  assert.deepEqual(tick.outcomes, [{ id: 'c1', what: 'park', ok: true, text: 'parked' }]);
});

test('fields that this side does not know are ignored', () => {
  const tick = { ...golden('tick'), added_later: { deep: true } };
  assert.equal(telemetryFrame(tick)?.kind, 'tick');
  const row = { ...(tick as unknown as { row: Json }).row, added_later: 1 };
  assert.equal(telemetryFrame({ ...tick, row })?.kind, 'tick');
});

test('a frame without any one of its fields is dropped', () => {
  for (const name of ['hello', 'idle', 'tick']) {
    for (const field of Object.keys(golden(name))) {
      const frame = golden(name);
      delete frame[field];
      const optional = name === 'hello' && field === 'device';
      assert.equal(telemetryFrame(frame) === null, !optional, `${name} without ${field}`);
    }
  }
});

test('a frame with any one field of a wrong type is dropped', () => {
  for (const name of ['hello', 'idle', 'tick', 'ack', 'error', 'chunk']) {
    for (const field of Object.keys(golden(name))) {
      for (const wrong of [undefined, NaN, { toString: null }, [[[]]], -1.5]) {
        const frame = { ...golden(name), [field]: wrong };
        const optional = name === 'hello' && field === 'device';
        const dropped = telemetryFrame(frame) === null && controlFrame(frame) === null;
        assert.equal(dropped, !optional, `${name}.${field} = ${String(JSON.stringify(wrong))}`);
      }
    }
  }
});

test('what is no frame at all is dropped', () => {
  for (const nothing of [
    null,
    undefined,
    7,
    'tick',
    [],
    {},
    { kind: 'tick' },
    { kind: '__proto__' }
  ]) {
    assert.equal(telemetryFrame(nothing), null);
    assert.equal(controlFrame(nothing), null);
    assert.equal(grainPage(nothing), null);
    assert.equal(handleList(nothing), null);
    assert.equal(history(nothing), null);
  }
});

test('oversized frames are dropped', () => {
  const tick = golden('tick');
  const [first] = tick.busiest as unknown[][];
  assert.equal(telemetryFrame({ ...tick, busiest: Array(17).fill(first) }), null);
  assert.equal(telemetryFrame({ ...tick, device: 'x'.repeat(5000) }), null);
  const key = ['k'.repeat(513), ...(first ?? []).slice(1)];
  assert.equal(telemetryFrame({ ...tick, busiest: [key] }), null);
  const wide = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`c${index}`, 1]));
  assert.equal(telemetryFrame({ ...tick, row: { time: 1, ...wide } }), null);
  assert.equal(controlFrame({ kind: 'chunk', id: 'q', part: 0, parts: 65 }), null);
  assert.equal(controlFrame({ kind: 'error', id: null, text: 'x'.repeat(2000) }), null);
});

test('the golden page of grains passes, and not with a broken row', () => {
  const page = grainPage(golden('grains'));
  assert.deepEqual(
    page?.rows.map(each => each.key),
    ['<img src=x onerror=alert(1)>', 'scores']
  );
  const broken = golden('grains');
  (broken.rows as unknown[][])[1]![3] = '4096';
  assert.equal(grainPage(broken), null);
});

test('handles have whole extents', () => {
  const list = { grain: 'a', total: 1, handles: [['x', 'float32', [4, 8], 128, 'device']] };
  assert.deepEqual(handleList(list)?.handles[0]?.shape, [4, 8]);
  const broken = { ...list, handles: [['x', 'float32', [4, -8], 128, 'device']] };
  assert.equal(handleList(broken), null);
});

test('a timeline has lanes and columns of one length', () => {
  const found = { lanes: ['a'], columns: { lane: ['a', 'a'], done: [-1, 0] } };
  assert.deepEqual(timeline(found), found);
  assert.deepEqual(timeline({ lanes: [], columns: {} }), { lanes: [], columns: {} });
  for (const columns of [{ lane: ['a'], done: [] }, { lane: [{}] }, { lane: 'a' }, []]) {
    assert.equal(timeline({ lanes: ['a'], columns }), null);
  }
  assert.equal(timeline({ lanes: Array(65).fill('a'), columns: {} }), null);
});

test('history comes as columns and becomes rows', () => {
  const rows = history({ columns: { time: [1, 2], used: [5, null] } });
  assert.deepEqual(rows, [
    { time: 1, used: 5 },
    { time: 2, used: null }
  ]);
  assert.equal(history({ columns: { time: [1, 2], used: [5] } }), null);
  assert.equal(history({ columns: { time: Array(5000).fill(1) } }), null);
});

test('chunks join, also within a character', () => {
  const bytes = new TextEncoder().encode(JSON.stringify({ key: 'Größe' }));
  const cut = bytes.indexOf(0xc3) + 1;
  const whole = new Assembly();
  const chunk = (part: number) => ({ kind: 'chunk', id: 'q', part, parts: 2 }) as const;
  assert.equal(whole.add(chunk(0), bytes.slice(0, cut)), false);
  assert.equal(whole.add(chunk(1), new DataView(bytes.buffer, cut)), true);
  assert.deepEqual(whole.json(), { key: 'Größe' });
});

test('a chunk out of turn, too large or without bytes ends its answer', () => {
  const chunk = (part: number) => ({ kind: 'chunk', id: 'q', part, parts: 3 }) as const;
  assert.equal(new Assembly().add(chunk(1), new Uint8Array(1)), null);
  assert.equal(new Assembly().add(chunk(0), undefined), null);
  assert.equal(new Assembly().add(chunk(0), new Uint8Array(64 * 1024 + 1)), null);
});

test('an answer that is no JSON, or no UTF-8, is undefined', () => {
  for (const bytes of [new Uint8Array([0x22, 0xff, 0x22]), new TextEncoder().encode('{')]) {
    const whole = new Assembly();
    assert.equal(whole.add({ kind: 'chunk', id: 'q', part: 0, parts: 1 }, bytes), true);
    assert.equal(whole.json(), undefined);
  }
});
