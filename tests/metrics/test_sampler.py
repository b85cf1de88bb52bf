"""The sampler: what it keeps, that it survives errors, and that it ends. Nothing here sleeps."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from gpures_lab.errors import InvalidOption
from gpures_lab.metrics import Sampler

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    MakeSnapshot = Callable[..., dict[str, object]]

LIMIT_S = 30  # every wait here ends, with a failure, by then
START = datetime(2026, 1, 1, tzinfo=UTC)


class Steps:
    """A wait that the test lets go, one period at a time."""

    def __init__(self) -> None:
        self.arrived = threading.Semaphore(0)
        self.go = threading.Semaphore(0)
        self.closing = False

    def wait(self, period_s: float) -> bool:
        assert period_s == 0.25
        self.arrived.release()
        assert self.go.acquire(timeout=LIMIT_S), "the test never let the sampler go on"
        return self.closing

    def step(self) -> None:
        """Let one period pass, and wait until its sample is taken."""
        self.go.release()
        self.until_waiting()

    def until_waiting(self) -> None:
        assert self.arrived.acquire(timeout=LIMIT_S), "the sampler did not come back to its wait"

    def end(self) -> None:
        self.closing = True
        self.go.release()


class Engine:
    """Counts the snapshots asked of it; every one shows ten more messages, half a second later."""

    def __init__(self, make_snapshot: MakeSnapshot) -> None:
        self.make_snapshot = make_snapshot
        self.taken = 0
        self.error: Exception | None = None

    def snapshot(self) -> dict[str, object]:
        if self.error is not None:
            raise self.error
        self.taken += 1
        return self.make_snapshot(
            messages_processed=10 * self.taken,
            now_ns=500_000_000 * self.taken,
            uptime_ns=500_000_000 * self.taken,
        )

    def clock(self) -> datetime:
        return START + timedelta(seconds=0.5 * self.taken)


@pytest.fixture
def steps() -> Steps:
    return Steps()


@pytest.fixture
def engine(make_snapshot: MakeSnapshot) -> Engine:
    return Engine(make_snapshot)


@pytest.fixture
def sampler(engine: Engine, steps: Steps) -> Iterator[Sampler]:
    sampler = Sampler(engine.snapshot, limit=3, clock=engine.clock, wait=steps.wait)
    yield sampler
    steps.end()
    sampler.close()
    assert not sampler.running


def test_no_thread_before_history_is_asked_for(sampler: Sampler, engine: Engine) -> None:
    """Would catch: a thread in every process that imports the package."""
    assert not sampler.running
    assert engine.taken == 0


def test_the_first_history_is_not_empty(sampler: Sampler, steps: Steps) -> None:
    (sample,) = sampler.history()
    assert sample.metrics.total_messages_processed == 10
    assert sample.taken_at == START + timedelta(seconds=0.5)
    assert sampler.running
    steps.until_waiting()


def test_each_sample_covers_the_time_since_the_one_before(sampler: Sampler, steps: Steps) -> None:
    """Would catch: rates over the whole uptime, in which nothing moves any more."""
    sampler.history()
    steps.until_waiting()
    steps.step()
    steps.step()
    samples = sampler.history()
    assert [sample.metrics.total_messages_processed for sample in samples] == [10, 20, 30]
    assert [sample.metrics.window_s for sample in samples] == [0.5, 0.5, 0.5]
    assert [sample.metrics.messages_per_second for sample in samples] == [20.0, 20.0, 20.0]


def test_history_is_bounded_and_drops_the_oldest(sampler: Sampler, steps: Steps) -> None:
    """Would catch: memory that grows for as long as the notebook is open."""
    sampler.history()
    steps.until_waiting()
    for _ in range(4):
        steps.step()
    processed = [sample.metrics.total_messages_processed for sample in sampler.history()]
    assert processed == [30, 40, 50]


def test_asking_again_starts_no_second_thread(sampler: Sampler, steps: Steps) -> None:
    before = threading.active_count()
    for _ in range(3):
        sampler.history()
    assert threading.active_count() == before + 1
    steps.until_waiting()


def test_an_error_is_recorded_and_the_next_period_works(
    sampler: Sampler, engine: Engine, steps: Steps, capsys: pytest.CaptureFixture[str]
) -> None:
    """Would catch: a dashboard that stops for ever at the first failed snapshot, or prints."""
    sampler.history()
    steps.until_waiting()
    engine.error = OSError("the ring is busy")
    steps.step()
    assert sampler.failures == 1
    assert sampler.last_error is engine.error
    assert len(sampler.history()) == 1
    engine.error = None
    steps.step()
    assert len(sampler.history()) == 2
    assert sampler.running
    assert capsys.readouterr() == ("", "")


def test_after_a_failed_period_the_rate_covers_both(
    sampler: Sampler, engine: Engine, steps: Steps
) -> None:
    """Would catch: a peak in the plot after every gap."""
    sampler.history()
    steps.until_waiting()
    engine.error = OSError("busy")
    steps.step()
    engine.error = None
    engine.taken += 1  # the engine went on meanwhile
    steps.step()
    last = sampler.history()[-1].metrics
    assert last.window_s == 1.0
    assert last.messages_per_second == 20.0


def test_close_ends_the_thread_and_keeps_the_history(engine: Engine) -> None:
    """Would catch: a close that waits a whole period, or for ever."""
    sampler = Sampler(engine.snapshot, period_s=3600)
    with sampler:
        kept = sampler.history()
        while_open = sampler.running
    assert (while_open, sampler.running) == (True, False)
    assert sampler.history() == kept
    assert (while_open, sampler.running) == (True, False)
    sampler.close()


def test_close_before_the_first_request_starts_nothing(engine: Engine) -> None:
    sampler = Sampler(engine.snapshot)
    sampler.close()
    assert sampler.history() == ()
    assert engine.taken == 0


def test_a_sampler_may_be_closed_by_its_own_snapshot(make_snapshot: MakeSnapshot) -> None:
    """Would catch: a thread that joins itself, which raises, or waits for ever."""
    steps = Steps()
    closed_in_thread = threading.Event()

    def snapshot() -> dict[str, object]:
        if threading.current_thread() is not threading.main_thread():
            closing.close()
            closed_in_thread.set()
        return make_snapshot()

    closing = Sampler(snapshot, wait=steps.wait)
    closing.history()
    steps.go.release()
    assert closed_in_thread.wait(LIMIT_S)
    steps.end()
    closing.close()
    assert not closing.running
    assert closing.failures == 0


@pytest.mark.parametrize("options", [{"period_s": 0.0}, {"period_s": -1.0}, {"limit": 0}], ids=str)
def test_a_sampler_refuses(options: dict[str, float], engine: Engine) -> None:
    with pytest.raises(InvalidOption, match=next(iter(options))):
        Sampler(engine.snapshot, **options)  # type: ignore[arg-type]
