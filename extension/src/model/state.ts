/** What is known of the active notebook's kernel, and how news changes it. */

import type { Hello, Idle, Tick } from '../wire/frames';
import { PROTOCOL_MAJOR } from '../wire/frames';

export type State =
  /** No notebook is open, or it has no kernel. */
  | { readonly kind: 'none' }
  /** The kernel was asked whether it has gpures_lab, and answers when its cell ends. */
  | { readonly kind: 'asking' }
  /** The notebook whose connection carries this kernel's comms was closed. */
  | { readonly kind: 'unreachable' }
  /** The kernel has not loaded gpures_lab. */
  | { readonly kind: 'absent' }
  /** Comms are being opened; without subshells that waits for the running cell. */
  | { readonly kind: 'connecting' }
  /** Loaded, and no manager is open yet. */
  | { readonly kind: 'idle'; readonly hello: Hello; readonly at: number }
  | { readonly kind: 'live'; readonly hello: Hello; readonly tick: Tick; readonly at: number }
  /** Frames have stopped; `tick` is the last one, and no longer the truth. */
  | {
      readonly kind: 'stale';
      readonly hello: Hello;
      readonly tick: Tick | null;
      readonly since: number;
    }
  /** Everything resident went with the process; gpures_lab is not loaded again yet. */
  | { readonly kind: 'restarted'; readonly at: number }
  | { readonly kind: 'dead'; readonly at: number }
  | {
      readonly kind: 'incompatible';
      readonly theirs: number;
      readonly upgrade: 'kernel' | 'server';
    };

export type News =
  | { readonly kind: 'kernel-gone' }
  | { readonly kind: 'kernel-new' }
  | { readonly kind: 'kernel-restarting'; readonly at: number }
  | { readonly kind: 'kernel-dead'; readonly at: number }
  | { readonly kind: 'asking' }
  | { readonly kind: 'unreachable' }
  | { readonly kind: 'opening' }
  | { readonly kind: 'closed' }
  | { readonly kind: 'clock'; readonly at: number }
  | { readonly kind: 'frame'; readonly frame: Hello | Idle | Tick; readonly at: number };

/** Two of the slowest telemetry's periods: with a clock of half a second, said within three. */
export const STALE_AFTER_MS = 2000;

export const INITIAL: State = { kind: 'none' };

export function next(state: State, news: News): State {
  switch (news.kind) {
    case 'kernel-gone':
      return { kind: 'none' };
    case 'kernel-new':
      return { kind: 'absent' };
    case 'kernel-restarting':
      // Only what was there can have been lost.
      return state.kind === 'none' || state.kind === 'absent'
        ? state
        : { kind: 'restarted', at: news.at };
    case 'kernel-dead':
      return { kind: 'dead', at: news.at };
    case 'asking':
      return state.kind === 'absent' ? { kind: 'asking' } : state;
    case 'unreachable':
      return { kind: 'unreachable' };
    case 'opening':
      return state.kind === 'live' || state.kind === 'idle' || state.kind === 'stale'
        ? state
        : { kind: 'connecting' };
    case 'closed':
      return state.kind === 'restarted' || state.kind === 'dead' || state.kind === 'none'
        ? state
        : { kind: 'absent' };
    case 'clock':
      return aged(state, news.at);
    case 'frame':
      return told(state, news.frame, news.at);
  }
}

function told(state: State, frame: Hello | Idle | Tick, at: number): State {
  if (frame.kind === 'hello') {
    const theirs = frame.protocol[0];
    if (theirs !== PROTOCOL_MAJOR) {
      const upgrade = theirs > PROTOCOL_MAJOR ? 'server' : 'kernel';
      return { kind: 'incompatible', theirs, upgrade };
    }
    return { kind: 'idle', hello: frame, at };
  }
  if (state.kind !== 'idle' && state.kind !== 'live' && state.kind !== 'stale') {
    return state; // a frame that was under way when its comm ended
  }
  const hello = state.hello;
  return frame.kind === 'idle'
    ? { kind: 'idle', hello, at }
    : { kind: 'live', hello, tick: frame, at };
}

function aged(state: State, at: number): State {
  if ((state.kind !== 'live' && state.kind !== 'idle') || at - state.at < STALE_AFTER_MS) {
    return state;
  }
  const tick = state.kind === 'live' ? state.tick : null;
  return { kind: 'stale', hello: state.hello, tick, since: state.at };
}
