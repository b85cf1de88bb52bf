/** The frames of both comms, as Python makes them; tests/views/golden/frames.json binds the two. */

export const PROTOCOL_MAJOR = 1;
export const TELEMETRY = 'gpures_lab.telemetry';
export const CONTROL = 'gpures_lab.control';
export const BEACON = 'gpures_lab.beacon';

/** Columns of a row that the charts draw; null where nothing was measured. */
export const COLUMNS = [
  'time',
  'used',
  'idle',
  'free',
  'rate',
  'pending',
  'grain_rate',
  'grain_pending',
  'versions',
  'hit_rate',
  'queue_p50',
  'queue_p95',
  'queue_p99',
  'service_p50',
  'service_p95',
  'service_p99',
  'round_trip_p50',
  'round_trip_p95',
  'round_trip_p99'
] as const;
export type Column = (typeof COLUMNS)[number];
/** A column that this side does not know is carried along: a newer kernel's figure may draw it. */
export type Row = Readonly<Record<string, number | null>> & { readonly time: number };

export const ROW_FIELDS = [
  'key',
  'state',
  'ring',
  'bytes',
  'allocations',
  'messages',
  'pending',
  'failed',
  'rate',
  'mean_ns',
  'service_p50_ns',
  'service_p99_ns'
] as const;
export type Sort = (typeof ROW_FIELDS)[number];

export interface Grain {
  readonly key: string;
  readonly state: string;
  readonly ring: number;
  readonly bytes: number;
  readonly allocations: number;
  readonly messages: number;
  readonly pending: number;
  readonly failed: number;
  readonly rate: number | null;
  readonly mean_ns: number | null;
  readonly service_p50_ns: number | null;
  readonly service_p99_ns: number | null;
}

export interface Handle {
  readonly name: string;
  readonly dtype: string;
  readonly shape: readonly number[];
  readonly bytes: number;
  readonly memory: string;
}

export interface Outcome {
  readonly id: string;
  readonly what: string;
  readonly ok: boolean;
  readonly text: string;
}

export interface Hello {
  readonly kind: 'hello';
  readonly protocol: readonly [number, number];
  readonly gpures_lab: string;
  readonly bokeh: string | null;
  readonly ipykernel: string | null;
  readonly driver: string | null;
  readonly incarnation: string;
  /** Whether this comm is served while a cell runs. */
  readonly subshell: boolean;
  readonly commands: readonly string[];
}

export interface Idle {
  readonly kind: 'idle';
  readonly seq: number;
  readonly outcomes: readonly Outcome[];
}

export interface Tick {
  readonly kind: 'tick';
  readonly seq: number;
  readonly driver: string;
  readonly device: string;
  readonly engine: string;
  readonly parks: number;
  readonly messages: number;
  readonly failed: number;
  readonly allocations: number;
  readonly bytes: number;
  readonly limit: number;
  readonly windowS: number;
  readonly grains: number;
  readonly row: Row;
  readonly busiest: readonly Grain[];
  readonly outcomes: readonly Outcome[];
}

export type TelemetryFrame = Hello | Idle | Tick;

export interface Ack {
  readonly kind: 'ack';
  readonly id: string;
  readonly isNew: boolean;
}

export interface Refusal {
  readonly kind: 'error';
  readonly id: string | null;
  readonly text: string;
}

export interface Chunk {
  readonly kind: 'chunk';
  readonly id: string;
  readonly part: number;
  readonly parts: number;
}

export type ControlFrame = Hello | Ack | Refusal | Chunk;

export interface GrainPage {
  readonly offset: number;
  readonly matching: number;
  readonly total: number;
  readonly rows: readonly Grain[];
}

/** The latest messages: a lane each grain, times in nanoseconds before the newest. */
export interface Timeline {
  readonly lanes: readonly string[];
  readonly columns: Readonly<Record<string, readonly (number | string)[]>>;
}

export interface HandleList {
  readonly grain: string;
  readonly total: number;
  readonly handles: readonly Handle[];
}
