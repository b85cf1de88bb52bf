// Sleeping and waking: nothing that was committed is left behind, with no keeper's help.  [R13]
#include "explorer/run.hpp"

using namespace explore;

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup sleeper;
  sleeper.messages[0] = 3;
  sleeper.slots = 4;
  Setup leaver = sleeper;
  leaver.lease_jumps = 1;
  leaver.messages[0] = 2;
  Setup lingerer = sleeper;
  lingerer.linger_jumps = 2;
  lingerer.messages[0] = 2;
  Setup parked = sleeper;
  parked.launched = false;
  parked.posters = 2;
  parked.messages[0] = 2;
  parked.linger_jumps = 1;
  Setup device = leaver;
  device.device = true;
  device.keeper = true;
  device.lease_jumps = 2;

  holds("poster against a worker that falls asleep", sleeper);
  holds("poster against the end of the lease", leaver);
  holds("poster against the linger", lingerer);
  holds("two posters against a parked engine", parked);
  holds("device: fire and forget, lease, keeper", device);

  is_caught("[R13] wake word with load and store", sleeper, Break::kPlainWake);
  is_caught("[R13] look at the slot, then announce sleep", sleeper, Break::kLookThenAnnounce);
  is_caught("[R13] no look after the exit", leaver, Break::kNoLookAfterOut);
  is_caught("[R13] device without a keeper", device, Break::kNoKeeper);
  is_caught("two launches at once", parked, Break::kNoLaunchLock);
  return check::result();
}
