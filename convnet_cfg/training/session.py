"""One training: batches in order, minibatches in file order, tests and checkpoints in between.

Source: cuda-convnet, spec training.md section 2. Unlike the original, a run of E epochs ends after E epochs
(the original trained one batch more), and ends with a test of the whole test range and a checkpoint.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from convnet_cfg.data import DataProvider
from convnet_cfg.errors import CheckpointError, ConvnetError, DataError
from convnet_cfg.model import BuiltNetwork
from convnet_cfg.training.checkpoints import checkpoint_path, prune, write_checkpoint
from convnet_cfg.training.divergence import explain_divergence
from convnet_cfg.training.observer import Observer, Result
from convnet_cfg.training.options import Options
from convnet_cfg.training.position import Position, batches_done
from convnet_cfg.training.run_directory import LOG, TIMES, RunDirectory
from convnet_cfg.training.steps import Steps

# The second word of a generator's seed: numbers for the crops and flips of training batches.
AUGMENTATION = 3
# Between two looks at the clock, the keyboard and the progress bar.
SECONDS_PER_CALL = 0.25


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
        self.tests = 0  # how many single test batches were taken, for --test-one
        self.stop_requested = False
        self.saved_position: Position | None = None
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
        if self.saved_position != self.position:
            self.save()
        while (following := self._following()) is not None:
            try:
                self._train_batch(*following)
            except (DataError, Interrupted):
                self.save()
                raise
            if self._test_is_due(*following):
                self._test_and_log()
                self.save()
        self.save()
        return self.test(self.options.test_range, "final-test")

    def _following(self) -> tuple[int, int] | None:
        """Return epoch and number of the batch to train on, None if all epochs are done."""
        following = self.position.next_batch(self.options.train_range)
        return following if following[0] <= self.options.epochs else None

    def _test_is_due(self, epoch: int, batch: int) -> bool:
        return batches_done(epoch, batch, self.options.train_range) % self.options.test_freq == 0

    def _train_batch(self, epoch: int, batch: int) -> None:
        started = time.monotonic()
        arrays = self._arrays(epoch, batch)
        total = self.steps.minibatches(arrays)
        self.observer.batch_started(epoch, batch, total)
        done = self.position.minibatches or 0
        per_call = 1
        while done < total:
            called = time.monotonic()
            part = self.steps.train(arrays, done, min(done + per_call, total), self.partial)
            if not part.finite:
                raise explain_divergence(self.built, self.provider, self.steps, arrays, part, epoch, batch)
            per_call = _next_per_call(part.next - done, time.monotonic() - called)
            done, self.partial = part.next, part.totals
            self.position = Position(epoch, batch, done)
            self.observer.minibatches_done(done, total)
            if self.stop_requested and done < total:
                raise Interrupted(f"stopped in batch {epoch}.{batch} after minibatch {done} of {total}")
        self._finish_batch(epoch, batch, len(arrays[0]), time.monotonic() - started)

    def _finish_batch(self, epoch: int, batch: int, cases: int, seconds: float) -> None:
        assert self.partial is not None
        self.position = Position(epoch, batch)
        result = Result("train", self.position, self._means(self.partial, cases), cases)
        self.partial = None
        self._log(result, seconds)
        self.observer.batch_done(result, seconds, self._test_is_due(epoch, batch))
        if self.stop_requested:
            raise Interrupted(f"stopped after batch {epoch}.{batch}")

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
        import tensorflow as tf

        rng = np.random.default_rng([self.options.seed, AUGMENTATION, epoch, batch])
        return [tf.constant(array) for array in self.provider.training_arrays(batch, rng)]

    # -- testing

    def test(self, batches: tuple[int, ...], kind: str = "test") -> Result:
        """Test on batches and return the means over all their cases."""
        started = time.monotonic()
        views = self.provider.views if self.options.multiview else 1
        sums = None
        cases = 0
        for batch in batches:
            arrays = self.provider.test_arrays(batch)
            totals = self.steps.test(arrays, views)
            sums = totals if sums is None else [a + b for a, b in zip(sums, totals, strict=True)]
            cases += len(arrays[0])
        result = Result(kind, self.position, self._means(sums or [], cases), cases, batches, views)
        self.observer.tested(result, time.monotonic() - started)
        return result

    def _test_and_log(self) -> None:
        started = time.monotonic()
        test_range = self.options.test_range
        chosen = (test_range[self.tests % len(test_range)],) if self.options.test_one else test_range
        self.tests += 1
        self._log(self.test(chosen), time.monotonic() - started)

    def _means(self, sums: list[np.ndarray], cases: int) -> dict[str, tuple[float, ...]]:
        return {
            cost.name: tuple(float(value) / cases for value in total)
            for cost, total in zip(self.built.costs, sums, strict=True)
        }

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
        """End the thread that prepares batches."""
        self._executor.shutdown(cancel_futures=True)

    # -- checkpoints

    def save(self) -> Path:
        """Write a checkpoint of this moment unless there is one, and delete those beyond the budget."""
        path = checkpoint_path(self.run_directory.path, self.position)
        if self.saved_position == self.position:
            return path
        write_checkpoint(path, self._state_arrays(), self._state_counters())
        self.saved_position = self.position
        prune(self.run_directory.path, path, self.options.max_filesize * 2**20)
        self.observer.saved(path)
        return path

    def restore(self, arrays: Mapping[str, np.ndarray], counters: Mapping[str, Any]) -> None:
        """Take weights, velocities and counters from a checkpoint.

        Raises:
            CheckpointError: the checkpoint is not of this network.
        """
        variables = self._state_variables()
        if set(arrays) != set(variables):
            missing, other = set(variables) - set(arrays), set(arrays) - set(variables)
            raise CheckpointError(
                f"the checkpoint is not of this network: it lacks {sorted(missing)}, and has {sorted(other)}"
            )
        for name, variable in variables.items():
            if tuple(variable.shape) != arrays[name].shape:
                raise CheckpointError(
                    f"the checkpoint is not of this network: {name} has shape {arrays[name].shape}, "
                    f"expected {tuple(variable.shape)}"
                )
            variable.assign(arrays[name])
        self.position = Position(*counters["position"])
        self.saved_position = self.position
        self.tests = counters["tests"]
        partial = counters["partial"]
        self.partial = [np.array(total) for total in partial] if partial is not None else None

    def _state_variables(self) -> dict[str, Any]:
        """Return everything that training changes, by the names of the checkpoint."""
        optimizer = self.built.optimizer
        assert optimizer is not None
        weights = self.built.variables
        velocities = {f"{name}/velocity": optimizer.velocity(weight) for name, weight in weights.items()}
        return {**weights, **velocities, **self.built.dropouts}

    def _state_arrays(self) -> dict[str, np.ndarray]:
        return {name: variable.numpy() for name, variable in self._state_variables().items()}

    def _state_counters(self) -> dict[str, Any]:
        optimizer = self.built.optimizer
        assert optimizer is not None
        return {
            "position": list(self.position),
            "tests": self.tests,
            "partial": [total.tolist() for total in self.partial] if self.partial is not None else None,
            "log_size": self.run_directory.log_size(),
            "connections": {name: list(chosen) for name, chosen in self.built.connections.items()},
            "base_rates": {name: group.base_learning_rate for name, group in optimizer.groups.items()},
        }


def _next_per_call(done: int, seconds: float) -> int:
    """Return how many minibatches the next call should have to take about SECONDS_PER_CALL."""
    return max(1, min(2 * done, round(done * SECONDS_PER_CALL / max(seconds, 1e-3))))
