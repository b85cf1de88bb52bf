"""The shared tests of transfers, batches and the pool's order, run over the double of libcuda."""

from tests.grain.engines import any_lab, lab, tiny
from tests.grain.test_traffic import *  # noqa: F403
from tests.grain.test_transfers import *  # noqa: F403

__all__ = ["any_lab", "lab", "tiny"]

# Its kernel is a user's, which only a GPU could run.
del test_a_failed_message_does_not_stop_later_ones  # noqa: F821
