"""One training: batches in order, minibatches in file order, tests and checkpoints in between.

Source: cuda-convnet, spec training.md section 2. Unlike the original, a run of E epochs ends after E epochs
(the original trained one batch more), and ends with a test of the whole test range and a checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import replace
from typing import Any, NamedTuple

import numpy as np
import tensorflow as tf

from convnet_cfg.data import DataProvider
from convnet_cfg.errors import ConvnetError, DataError, DivergedError
from convnet_cfg.model import BuiltNetwork
from convnet_cfg.training.arrays import deliver_test, deliver_training
from convnet_cfg.training.checkpoints import checkpoint_path, prune, write_checkpoint
from convnet_cfg.training.divergence import describe_divergence
from convnet_cfg.training.observer import Observer, Result
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position, batches_done, progress
from convnet_cfg.training.rates import set_rates
from convnet_cfg.training.reporting import column_names, reported
from convnet_cfg.training.run_directory import LOG, TIMES, RunDirectory
from convnet_cfg.training.state import restore_state, state_arrays, state_counters
from convnet_cfg.training.steps import Part, Steps

# The second word of a generator's seed: numbers for the crops and flips of training batches.
AUGMENTATION = 3
# Between two looks at the clock, the keyboard and the progress bar.
SECONDS_PER_CALL = 0.5


class Interrupted(ConvnetError):
    """The user stopped the training; everything done so far is saved."""

    exit_code = 130


class WeightSummary(NamedTuple):
    """How large the elements of a weight matrix or bias are, and those of its last increment, on average."""

    layer: str
    what: str
    mean: float
    increment: float


class Session:
    """A network in training, its data, and the run directory it is recorded in."""

    def __init__(
        self,
        built: BuiltNetwork,
        provider: DataProvider,
        options: Options,
        run: RunDirectory,
        observer: Observer,
    ) -> None:
        self.built = built
        self.provider = provider
        self.options = options
        self.run_directory = run
        self.observer = observer
        self.steps = Steps(built, provider, options.minibatch)
        self.position = Position()
        self.partial: list[np.ndarray] | None = None  # cost sums of a batch that is partly done
        self.tests = 0  # how many tests were made, for --test-one
        self.test_is_due = False
        self.stop_requested = False
        self._tested: Result | None = None  # the newest test on the way
        self._saved: tuple[Position, bool] | None = None  # position and test_is_due of the newest checkpoint
        self._per_call = 1  # minibatches, as many as take about SECONDS_PER_CALL
        self._executor = ThreadPoolExecutor(1)
        self._next: tuple[tuple[int, int], Future[Any]] | None = None

    # -- training

    def train(self) -> Result:
        """Train until the last epoch is done, test the whole test range, and return that test.

        Raises:
            Interrupted: `stop_requested` was set; the state is saved.
            DivergedError: a cost became NaN or infinite; nothing is saved.
            DataError: a batch cannot be had; the state is saved.
            CheckpointError: something cannot be written.
        """
        try:
            self._train_all_batches()
        except (DataError, Interrupted):
            self.save()
            raise
        self.save()
        return self._final_test()

    def _final_test(self) -> Result:
        """Return the test of the whole test range; the last one on the way may have been just that."""
        last = self._tested
        if last is None or (last.position, last.test_batches) != (self.position, self.options.test_range):
            return self.test(self.options.test_range, "final-test")
        result = replace(last, kind="final-test")
        self.observer.tested(result, None)
        return result

    def _train_all_batches(self) -> None:
        self.save()
        while True:
            if self.test_is_due:
                self._test_and_log()
                self.save()
            epoch, batch = self.position.next_batch(self.options.train_range)
            if epoch > self.options.epochs:
                return
            self._train_batch(epoch, batch)

    def _train_batch(self, epoch: int, batch: int) -> None:
        """Train on a batch, or on what is left of it."""
        started = time.monotonic()
        whole = self._arrays(epoch, batch)
        cases = len(whole[0])
        if self.position[:2] != (epoch, batch):
            self.position, self.partial = Position(epoch, batch, 0), None
        now = progress(epoch, batch, self.options.train_range, self.options.epochs)
        set_rates(self.built, now, self.options.rate_factor)
        begin = self.position.cases or 0
        arrays = [array[begin:] for array in whole] if begin else whole
        total = self.steps.minibatches(arrays)
        self.observer.batch_started(epoch, batch, total)
        done = 0
        while done < total:
            if self.stop_requested:
                raise Interrupted(
                    f"stopped in batch {epoch}.{batch} after {self.position.cases} cases of {cases}"
                )
            called = time.monotonic()
            part = self.steps.train(arrays, done, min(done + self._per_call, total), self.partial)
            if not part.finite:
                raise self._diverged_in_training(arrays, part, begin)
            self._per_call = _next_per_call(part.next - done, time.monotonic() - called)
            done, self.partial = part.next, part.totals
            self.position = Position(epoch, batch, min(begin + done * self.options.minibatch, cases))
            self.observer.minibatches_done(done, total)
        self._finish_batch(epoch, batch, cases, time.monotonic() - started)

    def _finish_batch(self, epoch: int, batch: int, cases: int, seconds: float) -> None:
        assert self.partial is not None
        train_range = self.options.train_range
        self.position = Position(epoch, batch)
        self.test_is_due = batches_done(epoch, batch, train_range) % self.options.test_freq == 0
        result = self._result("train", self.partial, cases)
        self.partial = None
        self._log(result, seconds)
        self.observer.batch_done(result, seconds, self.test_is_due)
        if self.stop_requested:
            raise Interrupted(f"stopped after batch {self.position}")

    def _diverged_in_training(self, arrays: list[Any], part: Part, begin: int) -> DivergedError:
        """Return the error for a minibatch whose cost is not finite; the weights are those from before it.

        `arrays` are the batch from its case `begin` on.
        """
        size = self.options.minibatch
        bad = [array[(part.next - 1) * size :][:size] for array in arrays]
        why = describe_divergence(self.built, part.totals, [self.provider.prepare_training(bad)], True)
        epoch, batch, _ = self.position
        return DivergedError(f"batch {epoch}.{batch}, minibatch {begin // size + part.next}: {why}")

    def _arrays(self, epoch: int, batch: int) -> list[Any]:
        """Return a batch for training, on the device, and begin to make the one after it."""
        here = (epoch, batch)
        ready = self._next is not None and self._next[0] == here
        arrays: list[Any] = self._next[1].result() if self._next and ready else self._make_arrays(*here)
        following = Position(epoch, batch).next_batch(self.options.train_range)
        if following[0] <= self.options.epochs:
            self._next = (following, self._executor.submit(self._make_arrays, *following))
        return arrays

    def _make_arrays(self, epoch: int, batch: int) -> list[Any]:
        rng = np.random.default_rng([self.options.seed, AUGMENTATION, epoch, batch])
        arrays = deliver_training(self.built.network, self.provider, batch, rng)
        return [tf.constant(array) for array in arrays]

    # -- testing

    def test(self, batches: tuple[int, ...], kind: str = "test") -> Result:
        """Test on batches and return the means over all their cases.

        Raises:
            Interrupted: `stop_requested` was set.
            DivergedError: a cost is NaN or infinite.
            DataError: a batch cannot be had.
        """
        started = time.monotonic()
        views = self.provider.views if self.options.multiview else 1
        sums = [np.zeros(cost.size) for cost in self.built.costs]
        cases = 0
        diverged: DivergedError | None = None
        for batch in batches:
            if self.stop_requested:
                raise Interrupted(f"stopped in the test after batch {self.position}")
            arrays = deliver_test(self.built.network, self.provider, batch)
            totals = self.steps.test(arrays, views)
            if diverged is None and not all(np.isfinite(total).all() for total in totals):
                diverged = self._diverged_in_test(batch, arrays, totals)
            sums = [before + more for before, more in zip(sums, totals, strict=True)]
            cases += len(arrays[0])
            self.observer.batch_tested(batch, reported(self.built.costs, totals, 1), len(arrays[0]))
        result = self._result(kind, sums, cases, batches, views)
        self.observer.tested(result, time.monotonic() - started)
        if diverged is not None:
            raise diverged
        return result

    def _diverged_in_test(self, batch: int, arrays: Sequence[Any], totals: list[np.ndarray]) -> DivergedError:
        size = self.options.minibatch
        minibatches = (
            self.provider.prepare_test([array[begin : begin + size] for array in arrays])
            for begin in range(0, len(arrays[0]), size)
        )
        why = describe_divergence(self.built, totals, minibatches, False)
        return DivergedError(f"test on batch {batch} after batch {self.position}: {why}")

    def _test_and_log(self) -> None:
        started = time.monotonic()
        test_range = self.options.test_range
        chosen = (test_range[self.tests % len(test_range)],) if self.options.test_one else test_range
        self._tested = self.test(chosen)
        self._log(self._tested, time.monotonic() - started)
        self.tests += 1
        self.test_is_due = False

    def _result(
        self, kind: str, sums: list[np.ndarray], cases: int, batches: tuple[int, ...] = (), views: int = 1
    ) -> Result:
        costs = self.built.costs
        values, names = reported(costs, sums, cases), column_names(costs)
        return Result(kind, self.position, values, cases, batches, views, names)

    def _log(self, result: Result, seconds: float) -> None:
        line = result.to_json()
        self.run_directory.append(LOG, line)
        where = {name: line[name] for name in ("kind", "epoch", "batch")}
        self.run_directory.append(TIMES, {**where, "seconds": round(seconds, 3), "finished": time.time()})

    def weight_summaries(self) -> Iterator[WeightSummary]:
        """Yield the mean absolute value of every weight matrix and bias, and of its last increment."""
        optimizer = self.built.optimizer
        assert optimizer is not None
        for owned in self.built.network.owned():
            weight = self.built.variables[owned.name]
            what = "biases" if owned.input is None else f"weights[{owned.input}]"
            means = (float(np.abs(part.numpy()).mean()) for part in (weight, optimizer.velocity(weight)))
            yield WeightSummary(owned.layer.name, what, *means)

    def close(self) -> None:
        """End the thread that prepares batches, and let others train in the run directory."""
        self._executor.shutdown(cancel_futures=True)
        self.run_directory.lock.release()

    # -- checkpoints

    def save(self) -> None:
        """Write a checkpoint of this moment unless there is one, and delete those beyond the budget.

        Raises:
            DivergedError: a weight is NaN or infinite; nothing is written.
            CheckpointError: it cannot be written; the earlier ones are still there.
        """
        now = self.position, self.test_is_due
        if self._saved == now:
            return
        arrays = state_arrays(self.built)
        if bad := [name for name, array in arrays.items() if not np.isfinite(array).all()]:
            raise DivergedError(
                f"after batch {self.position}: {', '.join(bad)} has values that are not finite"
            )
        path = checkpoint_path(self.run_directory.path, self.position)
        write_checkpoint(path, arrays, self._state_counters())
        self._saved = now
        prune(self.run_directory.path, path, self.options.max_filesize * 2**20)
        self.observer.saved(path)

    def restore(self, arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]) -> None:
        """Take weights, velocities and counters from a checkpoint.

        Raises:
            CheckpointError: the checkpoint is not of this network.
        """
        restore_state(self.built, arrays)
        self.position = Position(*counters["position"])
        self.tests = counters["tests"]
        self.test_is_due = counters["test_is_due"]
        self._saved = self.position, self.test_is_due
        partial = counters["partial"]
        self.partial = [np.array(total) for total in partial] if partial is not None else None

    def _state_counters(self) -> dict[str, Any]:
        return {
            "position": list(self.position),
            "tests": self.tests,
            "test_is_due": self.test_is_due,
            "partial": [total.tolist() for total in self.partial] if self.partial is not None else None,
            "log_size": self.run_directory.log_size(),
            **state_counters(self.built),
        }


def _next_per_call(done: int, seconds: float) -> int:
    """Return how many minibatches the next call should have to take about SECONDS_PER_CALL."""
    return max(1, min(2 * done, round(done * SECONDS_PER_CALL / max(seconds, 1e-3))))
