"""The shared tests of checkpoints, run over the double of libcuda."""

from tests.grain.engines import urls
from tests.grain.test_checkpoint import *  # noqa: F403
from tests.grain.test_restore import *  # noqa: F403

__all__ = ["urls"]

# They borrow, which takes CuPy, or run a user's kernel, which takes a GPU.
del test_the_cut_is_at_the_call  # noqa: F821
del test_the_cut_waits_for_programs_of_others_posted_before  # noqa: F821
del test_inside_a_borrow_it_is_refused_at_once  # noqa: F821
del test_while_another_thread_borrows_it_waits_for_its_limit  # noqa: F821
del test_a_long_program_is_waited_for  # noqa: F821
del test_a_named_program_comes_back  # noqa: F821
