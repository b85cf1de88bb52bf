// A poller apart from its block (shared/fetch.hpp): what is fetched ahead is run once, in order and
// whole, over any number of launches.  [R2][R4][R6][R9][R12]
#include "explorer/run.hpp"

using namespace explore;

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup ahead;
  ahead.device = true;
  ahead.apart = true;
  ahead.slots = 4;
  ahead.messages[0] = 4;
  Setup wrapping = ahead;
  wrapping.slots = 2;
  wrapping.messages[0] = 4;
  wrapping.readers = 1;
  Setup relaunched = ahead;
  relaunched.slots = 2;
  relaunched.messages[0] = 3;
  relaunched.readers = 1;
  relaunched.lease_jumps = 1;
  relaunched.keeper = true;
  Setup parked = ahead;
  parked.messages[0] = 2;
  parked.parker = true;
  Setup stopped = ahead;
  stopped.messages[0] = 2;
  stopped.slices = 2;
  stopped.stopper = true;
  Setup pair = ahead;
  pair.rings = 2;
  pair.slots = 2;
  pair.messages[0] = pair.messages[1] = 1;
  pair.lease_jumps = 1;
  pair.keeper = true;

  holds("apart: four messages, two batches ahead", ahead);
  holds("apart: twice around two slots", wrapping);
  holds("apart: a lease ends with messages in the buffers", relaunched);
  holds("apart: quiesced() against a poster", parked);
  holds("apart: stop while a kernel runs", stopped);
  holds("apart: two rings leave together", pair);

  is_caught("[R9] apart: a buffer filled while its batch is run", ahead, Break::kBufferTooEarly);
  is_caught("[R6] apart: nobody tells the poller that the launch is over", parked,
            Break::kLeaveNotTold);
  is_caught("[R4] apart: out while the poller looks", parked, Break::kPollerStays);
  is_caught("[R2] apart: slot sequence without release", ahead, Break::kRelaxedCommit);
  is_caught("[R12] apart: the first worker out says that all are", pair, Break::kEarlyExit);
  return check::result();
}
