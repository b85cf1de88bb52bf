// RunProgram: replay a recorded sequence of messages with no host in between.
//
//   bind once a run: every handle, bound and dtype is checked, every address is looked up
//   → per step: call the kernel, or copy → look at the words that say leave
//
// The program lies in an allocation of kProgramOwner, put there by ordinary Writes, and is never
// patched: late-bound scalars come in the page of each run and go into the bound words. A run that
// has to leave with its launch keeps iteration and step in the header; its message stays undone,
// and the next launch goes on from there. [R6][R10][R12]
#pragma once

#include "../cancel.hpp"
#include "../leave.hpp"
#include "compute.hpp"
#include "transfer.hpp"

namespace gpures {

struct Turn {  // where the serve loop is
  u64 position, epoch, started, taken;
};

struct RunProgram {
  static constexpr Opcode kOpcode = Opcode::kRunProgram;
  static constexpr u64 kMaxCount = u64{1} << 32;  // sums of sizes below cannot overflow

  // Words of the page beside the fault of a kernel: where the run was, and its service time.
  enum Detail : u32 { kIteration = 5, kStep = 6, kService = 7 };

  struct Parts {
    ProgramHeader* header;
    const Slot* steps;
    const u64* late;
    const u64* text;
    BoundStep* bound;
    u64* words;
  };

  template <class Env>
  GPURES_HD static Answer run(Env& env, const EngineView& engine, RingView& ring, const Slot& slot,
                              u8* page, const Turn& turn) {
    const auto& message = payload_of<RunProgramMessage>(slot);
    const Resolved program = resolve(engine, message.program, kProgramOwner);
    if (program.status != Status::kOk) return {program.status};
    Parts parts;
    if (!split(*program.entry, parts) || message.every == 0 || message.late > kPageWords) {
      return {Status::kBadMessage};
    }
    const u8* until = nullptr;
    const Status watched = resolve_until(engine, message, slot.grain, until);
    if (watched != Status::kOk) return {watched};
    ProgramHeader& header = *parts.header;
    const bool resumes = header.position == turn.position + 1;
    u64 iteration = resumes ? header.iteration : 0;
    u64 step = resumes ? header.step : 0;
    const u64 before = resumes ? header.service : 0;
    env.sync();  // every thread has read where the run is
    CallFrame& frame = env.frame();
    const u64* late = reinterpret_cast<const u64*>(page);
    if (!resumes && message.late != 0) late = Compute::at_hand(env, late, message.late);
    if (env.leader()) {
      frame.clear_fault();
      frame.status =
          resumes ? Status::kOk : bind<Env>(engine, parts, late, message.late, frame.failed);
    }
    env.sync();
    if (frame.status != Status::kOk) {
      return end(env, parts, page, turn, {frame.status}, 0, frame.failed, 0);
    }

    if (env.leader()) tell_progress<typename Env::Words>(*ring.control, turn.position, iteration);

    Answer answer;
    u64 ran = 0;
    if (header.steps == 0) {  // nothing happens however often: no loop that never looks [R6]
      const bool ends =
          until != nullptr && message.every < message.repeat && is_set(until, message.item);
      answer.value = ends ? message.every : message.repeat;
      return end(env, parts, page, turn, answer, answer.value, 0, before);
    }
    while (iteration < message.repeat) {
      while (step < header.steps) {
        answer = run_step(env, engine, ring, parts, step, page);
        if (answer.status != Status::kOk) break;
        ++step;
        ++ran;
        if (env.leader()) env.frame().stop = u64(look(env, engine, ring, slot, turn, ran));
        env.sync();
        const Next next = Next(env.frame().stop);
        env.sync();
        if (next == kGoOn) continue;
        if (step == header.steps && iteration + 1 == message.repeat) continue;  // all done
        if (next == kCancel) {
          answer = {Status::kCancelled};
          break;
        }
        if (env.leader()) {
          header.position = turn.position + 1;
          header.iteration = iteration;
          header.step = step;
          header.service = before + (env.now() - turn.taken);
        }
        return {Status::kUnfinished};
      }
      if (answer.status != Status::kOk) break;
      step = 0;
      ++iteration;
      if (until != nullptr && iteration % message.every == 0) {
        const bool ends = is_set(until, message.item);
        env.sync();  // every thread has read it before the next step of the fastest one writes it
        if (ends) break;
      }
    }
    // A cancel after the last step of an iteration: that one is done.
    answer.value = iteration + (header.steps != 0 && step == header.steps);
    return end(env, parts, page, turn, answer, iteration, step, before);
  }

 private:
  // Once a launch: a store across the bus each iteration would be paid by every run. [R1]
  template <class Words>
  GPURES_HD static void tell_progress(RingControl& control, u64 position, u64 iteration) {
    Words::store_relaxed_sys(control.progress.iteration, iteration);
    Words::store_release_sys(control.progress.position, position + 1);
  }

  enum Next : u64 { kGoOn = 0, kLeave = 1, kCancel = 2 };

  // Header and counts against the allocation's size; no sum can overflow.
  GPURES_HD static bool split(const HandleEntry& entry, Parts& parts) {
    if (entry.bytes < sizeof(ProgramHeader)) return false;
    u8* at = reinterpret_cast<u8*>(entry.base);
    parts.header = reinterpret_cast<ProgramHeader*>(at);
    const ProgramHeader& header = *parts.header;
    if (header.steps >= kMaxCount || header.late >= kMaxCount || header.text_words >= kMaxCount ||
        header.bound_words >= kMaxCount) {
      return false;
    }
    const u64 bytes = sizeof(ProgramHeader) + header.steps * (sizeof(Slot) + sizeof(BoundStep)) +
                      (header.late + header.text_words + header.bound_words) * sizeof(u64);
    if (bytes > entry.bytes) return false;
    parts.steps = reinterpret_cast<const Slot*>(at += sizeof(ProgramHeader));
    parts.late = reinterpret_cast<const u64*>(at += header.steps * sizeof(Slot));
    parts.text = reinterpret_cast<const u64*>(at += header.late * sizeof(u64));
    parts.bound = reinterpret_cast<BoundStep*>(at += header.text_words * sizeof(u64));
    parts.words = reinterpret_cast<u64*>(at + header.steps * sizeof(BoundStep));
    return true;
  }

  GPURES_HD static Status resolve_until(const EngineView& engine, const RunProgramMessage& message,
                                        u32 grain, const u8*& until) {
    if (message.until == 0) return Status::kOk;
    const Resolved found = resolve(engine, message.until, grain);
    if (found.status != Status::kOk) return found.status;
    const u64 item = message.item & (kUntilFloat - 1);
    if (item != 1 && item != 2 && item != 4 && item != 8) return Status::kBadMessage;
    if (found.entry->bytes < item) return Status::kOutOfBounds;
    until = reinterpret_cast<const u8*>(found.entry->base);
    return Status::kOk;
  }

  GPURES_HD static bool is_set(const u8* scalar, u32 item) {
    const u32 bytes = item & (kUntilFloat - 1);
    u64 bits = 0;
    for (u32 b = 0; b < bytes; ++b) bits |= u64(scalar[b]) << (8 * b);
    if (item & kUntilFloat) bits &= ~(u64{1} << (8 * bytes - 1));  // the sign of a zero
    return bits != 0;
  }

  template <class Env>
  GPURES_HD static Status bind(const EngineView& engine, const Parts& parts, const u64* late_words,
                               u64 given, u64& failed) {
    const ProgramHeader& header = *parts.header;
    u64 used = 0, late = 0;
    for (failed = 0; failed < header.steps; ++failed) {
      const Slot& step = parts.steps[failed];
      if (step.sequence > header.text_words || step.request > header.text_words - step.sequence) {
        return Status::kBadMessage;
      }
      BoundStep& bound = parts.bound[failed];
      const u64* text = parts.text + step.sequence;
      Status status = Status::kBadMessage;
      switch (Opcode(step.opcode)) {
        case Opcode::kNoop:
        case Opcode::kBarrier:
          status = Status::kOk;
          break;
        case Opcode::kWrite:
          status = bind_write(engine, step, text, bound);
          break;
        case Opcode::kCompute:
          status = bind_compute<Env>(engine, parts, step, text, used, bound);
          while (status == Status::kOk && late < header.late && u32(parts.late[late]) == failed) {
            const u64 word = parts.late[late] >> 32 & 0xffff;
            const u64 from = parts.late[late] >> 48;
            const auto& kernel = *reinterpret_cast<const KernelEntry*>(bound.kernel);
            if (word >= kernel.param_words || from >= given) return Status::kBadMessage;
            arguments_of(bound, nullptr).params[word] = late_words[from];
            ++late;
          }
          break;
        default:
          break;
      }
      if (status != Status::kOk) return status;
    }
    return late == header.late ? Status::kOk : Status::kBadMessage;
  }

  GPURES_HD static Status bind_write(const EngineView& engine, const Slot& step, const u64* text,
                                     BoundStep& bound) {
    const auto& message = payload_of<TransferMessage>(step);
    const Resolved found = resolve(engine, message.handle, step.grain);
    if (found.status != Status::kOk) return found.status;
    if (!fits(message.offset, message.bytes, found.entry->bytes)) return Status::kOutOfBounds;
    const u64 given = step.request * sizeof(u64);
    if (message.place == kFill) {
      const u64 element = message.element;
      if (element == 0 || element > 16 || (element & (element - 1)) || message.bytes % element ||
          given < element) {
        return Status::kBadMessage;
      }
    } else if (message.place != kPage || message.bytes > given) {
      return Status::kBadMessage;
    }
    bound = {reinterpret_cast<u64>(text), found.entry->base + message.offset, message.bytes,
             message.place == kFill ? message.element : 0};
    return Status::kOk;
  }

  template <class Env>
  GPURES_HD static Status bind_compute(const EngineView& engine, const Parts& parts,
                                       const Slot& step, const u64* text, u64& used,
                                       BoundStep& bound) {
    const auto& message = payload_of<ComputeMessage>(step);
    const KernelEntry* kernel;
    const u64* words;
    const Status known = Compute::find(engine, message, text, step.request, kernel, words);
    if (known != Status::kOk) return known;
    const u64 shapes = Compute::shape_count(*kernel);
    const u64 needed = 2 * u64(kernel->arrays) + shapes + kernel->param_words + kMaxIndices;
    if (needed > parts.header->bound_words - used) return Status::kBadMessage;
    bound = {reinterpret_cast<u64>(kernel), reinterpret_cast<u64>(parts.words + used), shapes, 0};
    used += needed;
    const Arguments arguments = arguments_of(bound, nullptr);
    const Status status = Compute::bind(engine, *kernel, message, words, step.grain, arguments);
    if (status != Status::kOk) return status;
    bound.detail = arguments.space[0] <= Compute::first_slice<Env>(*kernel, arguments.space);
    return Status::kOk;
  }

  GPURES_HD static Arguments arguments_of(const BoundStep& bound, i64* fault) {
    const auto& kernel = *reinterpret_cast<const KernelEntry*>(bound.kernel);
    u64* const data = reinterpret_cast<u64*>(bound.words);
    u64* const sizes = data + kernel.arrays;
    u64* const shapes = sizes + kernel.arrays;
    u64* const params = shapes + bound.shapes;
    u64* const space = params + kernel.param_words;
    return {reinterpret_cast<void**>(data), reinterpret_cast<i64*>(sizes),
            reinterpret_cast<i64*>(shapes), params,
            reinterpret_cast<i64*>(space),  fault};
  }

  template <class Env>
  GPURES_HD static Answer run_step(Env& env, const EngineView& engine, RingView& ring,
                                   const Parts& parts, u64 step, u8* page) {
    const Opcode opcode = Opcode(parts.steps[step].opcode);
    BoundStep& bound = parts.bound[step];
    if (opcode == Opcode::kCompute) {
      const auto& kernel = *reinterpret_cast<const KernelEntry*>(bound.kernel);
      const Arguments arguments = arguments_of(bound, env.frame().fault);
      if (bound.detail) return Compute::call_last(env, kernel, arguments, 0, page);
      i64 slice = Compute::first_slice<Env>(kernel, arguments.space);
      const Answer answer = Compute::call(env, engine, ring, kernel, arguments, page, slice);
      // Quick enough for one slice: so it is called from the next iteration on.
      if (env.leader() && slice >= arguments.space[0]) bound.detail = 1;
      return answer;
    }
    if (opcode == Opcode::kWrite) {
      u8* const to = reinterpret_cast<u8*>(bound.words);
      const u8* const from = reinterpret_cast<const u8*>(bound.kernel);
      if (bound.detail != 0) {
        repeat_bytes(env, to, from, bound.detail, bound.shapes);
      } else {
        copy_bytes(env, to, from, bound.shapes);
      }
    }
    return {};
  }

  template <class Env>
  GPURES_HD static Next look(Env& env, const EngineView& engine, RingView& ring, const Slot& slot,
                             const Turn& turn, u64 ran) {
    using Words = typename Env::Words;
    env.beat(ring);
    env.look(engine, ring, turn.epoch, turn.started, ran);
    // All under way before one is asked for.
    const u64 stop = Words::load_relaxed_gpu(engine.shared->stop.value);
    const u64 leave = Words::load_relaxed_gpu(engine.shared->leave.value);
    refresh_cancels<Words>(engine, ring);
    if (stop != 0 || is_cancelled(*ring.state, slot, turn.position)) return kCancel;
    return leave >= turn.epoch ? kLeave : kGoOn;
  }

  template <class Env>
  GPURES_HD static Answer end(Env& env, const Parts& parts, u8* page, const Turn& turn,
                              Answer answer, u64 iteration, u64 step, u64 before) {
    env.sync();
    if (env.leader()) {
      u64* const detail = reinterpret_cast<u64*>(page);
      for (u32 w = 0; w < kIteration; ++w) detail[w] = u64(env.frame().fault[w]);
      detail[kIteration] = iteration;
      detail[kStep] = step;
      detail[kService] = before + (env.now() - turn.taken);
      parts.header->position = 0;
    }
    answer.detail = kFaultWords * 8;
    return answer;
  }
};

}  // namespace gpures
