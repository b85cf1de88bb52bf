// A block of two threads: the threads that are not the poller keep in step with it, and what any
// of them finds is answered.  [R6][R9]
#include "explorer/run.hpp"

using namespace explore;

namespace {

void block_thread_body(u32 thread) {
  Env env{0, thread};
  const EngineView engine = engine_view();
  RingView view = ring_view(0);
  serve(env, engine, view, 1);
  if (!env.leader()) return;
  world.host.out[0] = 1;
  count_out<Words>(engine, 1, 1);
}

void start_block() {
  zero_memory();
  world.host.quiesced = 1;  // one launch is enough
  machine.spawn("poster", poster_body, 0);
  machine.spawn("thread 0", block_thread_body, 0);
  machine.spawn("thread 1", block_thread_body, 1);
  spawn_hosts();
}

}  // namespace

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup faulty;
  faulty.device = true;
  faulty.block_threads = 2;
  faulty.slices = 1;
  faulty.messages[0] = 2;
  faulty.stopper = true;
  Setup sliced = faulty;
  sliced.messages[0] = 1;
  sliced.slices = 3;

  holds("block: a fault in one thread is the message's", faulty, {}, start_block);
  holds("block: stop between slices", sliced, {}, start_block);
  return check::result();
}
