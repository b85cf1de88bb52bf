// The ring's edges under every interleaving: payloads whole, one completion each, in order, while
// the slots are lapped.  [R1][R2][R3][R4][R9]
#include "explorer/run.hpp"

using namespace explore;

int main(int count, char** arguments) {
  read_arguments(count, arguments);
  Setup lapped;
  lapped.messages[0] = 4;
  lapped.readers = 1;
  Setup device = lapped;
  device.device = true;
  Setup each = lapped;
  each.publish_each = true;
  Setup paged = device;
  paged.late_pages = true;
  paged.messages[0] = 3;
  Setup wide = device;
  wide.slots = 4;
  wide.messages[0] = 5;
  Setup two = lapped;
  two.posters = 2;
  Setup late = lapped;
  late.messages[0] = 6;
  late.late_waiter = true;

  holds("host: 4 messages through 2 slots", lapped);
  holds("device: 4 messages through 2 slots", device);
  holds("device: pages are late, too", paged);
  holds("host: completions one by one", each);
  holds("device: 5 messages through 4 slots", wide);
  holds("host: two posters, one ring lock", two);
  holds("host: a second look at position 0, laps later", late);

  is_caught("[R1] posters that are not serialized", two, Break::kTwoPosters);
  is_caught("[R2] sequence before the payload", lapped, Break::kSequenceFirst);
  is_caught("[R2] sequence without release", lapped, Break::kRelaxedCommit);
  is_caught("[R2] completions without a fence", device, Break::kNoFence);
  is_caught("[R3] a full flag for the sequence", lapped, Break::kFlagForSequence);
  is_caught("[R3] a parity bit for the sequence", late, Break::kParityForSequence);
  is_caught("[R4] two pollers of one ring", lapped, Break::kTwoPollers);
  is_caught("[R5] ring memory that was not zeroed", lapped, Break::kDirtyMemory);
  is_caught("[R9] a slot used again before its completion is taken", lapped, Break::kPostTooEarly);
  is_caught("head stored before its completions are published", lapped, Break::kHeadBeforePublish);
  return check::result();
}
