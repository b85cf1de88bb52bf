// How launches end: workers leave together, a launch follows only when the last one is out, heads
// survive, park and stop end everything.  [R7][R9][R12][R13]
#include "explorer/run.hpp"

using namespace explore;

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup pair;
  pair.rings = 2;
  pair.slots = 2;
  pair.messages[0] = pair.messages[1] = 1;
  pair.lease_jumps = 1;
  Setup device = pair;
  device.device = true;
  device.keeper = true;
  Setup relaunched;
  relaunched.messages[0] = 3;
  relaunched.readers = 1;
  relaunched.lease_jumps = 2;
  Setup parked = pair;
  parked.parker = true;
  parked.lease_jumps = 0;
  Setup alone;
  alone.parker = true;
  Setup stopped = pair;
  stopped.stopper = true;
  stopped.lease_jumps = 0;
  Setup healed = pair;
  healed.keeper = true;
  healed.broken = Break::kForgetKick;
  Setup sliced;
  sliced.messages[0] = 2;
  sliced.slices = 3;
  sliced.stopper = true;

  holds("host: two rings leave together", pair);
  holds("device: two rings leave together, late second block", device);
  holds("host: lease exits between 3 messages", relaunched);
  holds("host: quiesced() against two posters", parked);
  holds("host: quiesced() against one poster", alone);
  holds("host: stop against two posters", stopped);
  holds("host: stop while a kernel runs", sliced);

  holds("host: a kick during the exit is forgotten, and the keeper heals it", healed);

  is_caught("[R7] each launch resets `leave`", pair, Break::kLeaveReset);
  is_caught("[R12] the first worker out says that all are", pair, Break::kEarlyExit);
  is_caught("[R12] nobody rouses the sleepers", pair, Break::kNoRouse);
  is_caught("[R12] a rouse that finds nobody asleep is only a load", pair,
            Break::kFailedExchangeLoads);
  is_caught("[R12] asleep without a look at the host's words", alone, Break::kNoMirrorAsleep);
  is_caught("[R13] a kick during the exit is forgotten", pair, Break::kForgetKick);
  is_caught("the head comes with the launch", relaunched, Break::kHeadAtLaunch);
  return check::result();
}
