/** What the sidebar says of a kernel, news by news. */

import assert from 'node:assert/strict';
import { test } from 'node:test';

import type { News, State } from '../src/model/state';
import { INITIAL, next, STALE_AFTER_MS } from '../src/model/state';
import type { Hello, Tick } from '../src/wire/frames';

const HELLO: Hello = {
  kind: 'hello',
  protocol: [1, 0],
  gpures_lab: '0.1.0',
  bokeh: '3.9.2',
  ipykernel: '7.4.0',
  driver: null,
  incarnation: 'one',
  subshell: true,
  commands: ['park']
};
const TICK = { kind: 'tick', seq: 1, engine: 'RUNNING' } as Tick;

function after(...news: News[]): State {
  return news.reduce(next, INITIAL);
}

const frame = (found: Hello | Tick, at: number): News => ({ kind: 'frame', frame: found, at });
const LIVE: News[] = [
  { kind: 'kernel-new' },
  { kind: 'opening' },
  frame(HELLO, 1000),
  frame(TICK, 1100)
];

test('a kernel that loads gpures_lab becomes live', () => {
  const kinds = LIVE.map((_, index) => after(...LIVE.slice(0, index + 1)).kind);
  assert.deepEqual(kinds, ['absent', 'connecting', 'idle', 'live']);
});

test('silence makes it stale since the last frame, and a frame makes it live again', () => {
  const at = 1100 + STALE_AFTER_MS;
  assert.equal(after(...LIVE, { kind: 'clock', at: at - 1 }).kind, 'live');
  const stale = after(...LIVE, { kind: 'clock', at });
  assert.ok(stale.kind === 'stale');
  assert.equal(stale.since, 1100);
  assert.equal(stale.tick, TICK);
  assert.equal(next(stale, { kind: 'clock', at: at + 9000 }), stale);
  assert.equal(next(stale, frame(TICK, at + 10_000)).kind, 'live');
});

test('a kernel that falls silent before its first tick is stale too', () => {
  const stale = after(...LIVE.slice(0, 3), { kind: 'clock', at: 10_000 });
  assert.ok(stale.kind === 'stale');
  assert.equal(stale.tick, null);
});

test('a restart is told only where something was lost', () => {
  const restarting: News = { kind: 'kernel-restarting', at: 5 };
  assert.deepEqual(after(...LIVE, restarting), { kind: 'restarted', at: 5 });
  assert.equal(after({ kind: 'kernel-new' }, restarting).kind, 'absent');
  assert.equal(after(restarting).kind, 'none');
});

test('the restart is told until gpures_lab speaks again', () => {
  const restarted = after(...LIVE, { kind: 'kernel-restarting', at: 5 });
  const quiet: News[] = [{ kind: 'closed' }, { kind: 'clock', at: 99_999 }, frame(TICK, 6)];
  assert.equal(quiet.reduce(next, restarted).kind, 'restarted');
  assert.equal(next(restarted, frame(HELLO, 7)).kind, 'idle');
});

test('a frame of a kernel that is gone changes nothing', () => {
  assert.equal(after(...LIVE, { kind: 'kernel-gone' }, frame(TICK, 9)).kind, 'none');
  assert.equal(after(...LIVE, { kind: 'kernel-dead', at: 8 }, frame(TICK, 9)).kind, 'dead');
});

test('another major protocol names the side to upgrade', () => {
  const newer = frame({ ...HELLO, protocol: [2, 0] }, 1);
  const older = frame({ ...HELLO, protocol: [0, 9] }, 1);
  const opening = after({ kind: 'kernel-new' }, { kind: 'opening' });
  assert.deepEqual(next(opening, newer), { kind: 'incompatible', theirs: 2, upgrade: 'server' });
  assert.deepEqual(next(opening, older), { kind: 'incompatible', theirs: 0, upgrade: 'kernel' });
  assert.equal(next(next(opening, newer), frame(TICK, 2)).kind, 'incompatible');
});

test('a higher minor protocol is understood', () => {
  assert.equal(after({ kind: 'opening' }, frame({ ...HELLO, protocol: [1, 7] }, 1)).kind, 'idle');
});

test('unloading closes the comms, and the sidebar says that it is absent', () => {
  assert.equal(after(...LIVE, { kind: 'closed' }).kind, 'absent');
});
