/** The door: what a kernel sends is one of our frames within its limits, or it is null. */

import type {
  Ack,
  Chunk,
  ControlFrame,
  Grain,
  GrainPage,
  Handle,
  HandleList,
  Hello,
  Idle,
  Outcome,
  Refusal,
  Row,
  TelemetryFrame,
  Tick,
  Timeline
} from './frames';
import { ROW_FIELDS } from './frames';

const LONGEST_KEY = 512;
const LONGEST_TEXT = 1024;
const MOST_BUSIEST = 16;
const MOST_OUTCOMES = 8;
const MOST_ROWS = 1000;
const MOST_HANDLES = 500;
const MOST_COLUMNS = 64;
const MOST_HISTORY = 4096;
const MOST_DIMENSIONS = 64;
const MOST_LANES = 64;
const MOST_MESSAGES = 4096;
/** 64 parts of at most 64 KiB: BokehJS, the longest answer, takes eight. */
const MOST_PARTS = 64;
export const LARGEST_PART = 64 * 1024;

type Loose = Readonly<Record<string, unknown>>;

export function telemetryFrame(data: unknown): TelemetryFrame | null {
  if (!isObject(data)) {
    return null;
  }
  switch (data.kind) {
    case 'hello':
      return hello(data);
    case 'idle':
      return idle(data);
    case 'tick':
      return tick(data);
    default:
      return null;
  }
}

export function controlFrame(data: unknown): ControlFrame | null {
  if (!isObject(data)) {
    return null;
  }
  switch (data.kind) {
    case 'hello':
      return hello(data);
    case 'ack':
      return ack(data);
    case 'error':
      return refusal(data);
    case 'chunk':
      return chunk(data);
    default:
      return null;
  }
}

export function grainPage(data: unknown): GrainPage | null {
  if (!isObject(data)) {
    return null;
  }
  const { offset, matching, total } = data;
  const rows = list(data.rows, MOST_ROWS, grain);
  return isCount(offset) && isCount(matching) && isCount(total) && rows
    ? { offset, matching, total, rows }
    : null;
}

export function handleList(data: unknown): HandleList | null {
  if (!isObject(data)) {
    return null;
  }
  const handles = list(data.handles, MOST_HANDLES, handle);
  const { grain: key, total } = data;
  return isText(key, LONGEST_KEY) && isCount(total) && handles
    ? { grain: key, total, handles }
    : null;
}

export function timeline(data: unknown): Timeline | null {
  if (!isObject(data) || !isObject(data.columns)) {
    return null;
  }
  const lanes = list(data.lanes, MOST_LANES, value => (isText(value, LONGEST_KEY) ? value : null));
  const columns = Object.entries(data.columns).map(
    ([name, values]) =>
      [
        name,
        list(values, MOST_MESSAGES, value =>
          isNumber(value) || isText(value, LONGEST_TEXT) ? value : null
        )
      ] as const
  );
  const lengths = new Set(columns.map(([, values]) => values?.length));
  return lanes && columns.length <= MOST_COLUMNS && lengths.size <= 1 && !lengths.has(undefined)
    ? { lanes, columns: Object.fromEntries(columns) as Timeline['columns'] }
    : null;
}

/** Rows of the past, oldest first. */
export function history(data: unknown): readonly Row[] | null {
  if (!isObject(data) || !isObject(data.columns)) {
    return null;
  }
  const columns = Object.entries(data.columns);
  const times = data.columns.time;
  if (!Array.isArray(times) || times.length > MOST_HISTORY || columns.length > MOST_COLUMNS) {
    return null;
  }
  const rows: Row[] = [];
  for (let index = 0; index < times.length; index++) {
    const found = row(
      Object.fromEntries(
        columns.map(([name, values]) => [name, Array.isArray(values) ? values[index] : undefined])
      )
    );
    if (!found) {
      return null;
    }
    rows.push(found);
  }
  return rows;
}

function hello(data: Loose): Hello | null {
  const { protocol, gpures_lab, bokeh, ipykernel, driver, incarnation, subshell, commands } = data;
  if (!Array.isArray(protocol)) {
    return null;
  }
  const [major, minor] = protocol as unknown[];
  const known = list(commands, 32, value => (isText(value, 64) ? value : null));
  return isCount(major) &&
    isCount(minor) &&
    isText(gpures_lab, 64) &&
    isTextOrNull(bokeh, 64) &&
    isTextOrNull(ipykernel, 64) &&
    isTextOrNull(driver, LONGEST_TEXT) &&
    isText(incarnation, 64) &&
    typeof subshell === 'boolean' &&
    known
    ? {
        kind: 'hello',
        protocol: [major, minor],
        gpures_lab,
        bokeh,
        ipykernel,
        driver,
        incarnation,
        subshell,
        commands: known
      }
    : null;
}

function idle(data: Loose): Idle | null {
  const outcomes = list(data.outcomes, MOST_OUTCOMES, outcome);
  return isCount(data.seq) && outcomes ? { kind: 'idle', seq: data.seq, outcomes } : null;
}

function tick(data: Loose): Tick | null {
  const { seq, driver, device, engine, parks, messages, failed, allocations, bytes, limit } = data;
  const { window_s: windowS, grains } = data;
  const found = row(data.row);
  const busiest = list(data.busiest, MOST_BUSIEST, grain);
  const outcomes = list(data.outcomes, MOST_OUTCOMES, outcome);
  return isCount(seq) &&
    isText(driver, LONGEST_TEXT) &&
    isText(device, LONGEST_TEXT) &&
    isText(engine, 32) &&
    isCount(parks) &&
    isCount(messages) &&
    isCount(failed) &&
    isCount(allocations) &&
    isCount(bytes) &&
    isCount(limit) &&
    isNumber(windowS) &&
    windowS >= 0 &&
    isCount(grains) &&
    found &&
    busiest &&
    outcomes
    ? {
        kind: 'tick',
        seq,
        driver,
        device,
        engine,
        parks,
        messages,
        failed,
        allocations,
        bytes,
        limit,
        windowS,
        grains,
        row: found,
        busiest,
        outcomes
      }
    : null;
}

function row(data: unknown): Row | null {
  if (!isObject(data) || !isNumber(data.time)) {
    return null;
  }
  const entries = Object.entries(data);
  const good = ([, value]: [string, unknown]) => value === null || isNumber(value);
  return entries.length <= MOST_COLUMNS && entries.every(good) ? (data as Row) : null;
}

/** What each kernel sends; the first ones sent no percentiles. */
const FIRST_ROW_FIELDS = ROW_FIELDS.indexOf('mean_ns') + 1;

function grain(data: unknown): Grain | null {
  if (!Array.isArray(data) || data.length < FIRST_ROW_FIELDS) {
    return null;
  }
  const [key, state, ring, bytes, allocations, messages, pending, failed, ...measured] =
    data as unknown[];
  const [rate, mean_ns, service_p50_ns = null, service_p99_ns = null] = measured;
  return isText(key, LONGEST_KEY) &&
    isText(state, 32) &&
    isCount(ring) &&
    isCount(bytes) &&
    isCount(allocations) &&
    isCount(messages) &&
    isCount(pending) &&
    isCount(failed) &&
    isNumberOrNull(rate) &&
    isNumberOrNull(mean_ns) &&
    isNumberOrNull(service_p50_ns) &&
    isNumberOrNull(service_p99_ns)
    ? {
        ...{ key, state, ring, bytes, allocations, messages, pending, failed },
        ...{ rate, mean_ns, service_p50_ns, service_p99_ns }
      }
    : null;
}

function handle(data: unknown): Handle | null {
  if (!Array.isArray(data)) {
    return null;
  }
  const [name, dtype, extents, bytes, memory] = data as unknown[];
  const shape = list(extents, MOST_DIMENSIONS, value => (isCount(value) ? value : null));
  return isText(name, LONGEST_KEY) &&
    isText(dtype, 32) &&
    shape &&
    isCount(bytes) &&
    isText(memory, 32)
    ? { name, dtype, shape, bytes, memory }
    : null;
}

function outcome(data: unknown): Outcome | null {
  if (!isObject(data)) {
    return null;
  }
  const { id, what, ok, text } = data;
  return isText(id, 64) && isText(what, 64) && typeof ok === 'boolean' && isText(text, LONGEST_TEXT)
    ? { id, what, ok, text }
    : null;
}

function ack(data: Loose): Ack | null {
  return isText(data.id, 64) && typeof data.new === 'boolean'
    ? { kind: 'ack', id: data.id, isNew: data.new }
    : null;
}

function refusal(data: Loose): Refusal | null {
  return isTextOrNull(data.id, 64) && isText(data.text, LONGEST_TEXT)
    ? { kind: 'error', id: data.id, text: data.text }
    : null;
}

function chunk(data: Loose): Chunk | null {
  const { id, part, parts } = data;
  return isText(id, 64) && isCount(part) && isCount(parts) && part < parts && parts <= MOST_PARTS
    ? { kind: 'chunk', id, part, parts }
    : null;
}

function list<T>(data: unknown, most: number, guard: (value: unknown) => T | null): T[] | null {
  if (!Array.isArray(data) || data.length > most) {
    return null;
  }
  const found: T[] = [];
  for (const each of data as unknown[]) {
    const value = guard(each);
    if (value === null) {
      return null;
    }
    found.push(value);
  }
  return found;
}

function isObject(data: unknown): data is Loose {
  return typeof data === 'object' && data !== null && !Array.isArray(data);
}

function isNumber(data: unknown): data is number {
  return typeof data === 'number' && Number.isFinite(data);
}

function isNumberOrNull(data: unknown): data is number | null {
  return data === null || isNumber(data);
}

/** Counts above 2**53 lose their last digits in JSON, which nobody reads. */
function isCount(data: unknown): data is number {
  return isNumber(data) && data >= 0 && Math.floor(data) === data;
}

function isText(data: unknown, most: number): data is string {
  return typeof data === 'string' && data.length <= most;
}

function isTextOrNull(data: unknown, most: number): data is string | null {
  return data === null || isText(data, most);
}
