"""`Trainer`: what makes one stateful `update` of a GAN or a VAE run under `fit` on every backend.

A family says its algorithm once, in `update(images, phase)`, with layers, optimizers and the
functions of `autodiff`. This class turns it into Keras's training step:

- TensorFlow and PyTorch call it as it is; on JAX it runs inside a `keras.StatelessScope` over all
  variables, whose values are read back afterwards.
- Lazy regularization without a branch in the graph: one compiled step per `phase`, chosen by the
  number of the step (`phase_of`).
- The losses are averaged over the epoch; the first step at which one of them stops being finite
  is kept in a variable, so that a run can be asked seldom and still answer exactly.
- Everything that a resumed run needs is a variable of this object: see `checkpoint`.
"""

from collections.abc import Callable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from facegen_keras import backend
from facegen_keras.backend.keras_private import write_back
from facegen_keras.engine import autodiff
from facegen_keras.engine.optimizer_group import OptimizerGroup
from facegen_keras.errors import UserError
from facegen_keras.inference import to_network_range


class Trainer(keras.Model):
    """A Keras model whose training step is a family's `update`.

    Args:
        name: The family.
        seed: Of every random number drawn while training, kept in variables.
        scale_losses: Whether each optimizer gets a dynamic loss scale, as float16 needs.

    A subclass sets `loss_names` (the keys that `update` returns), and implements `update`,
    `networks` and `default_optimizers`.
    """

    family: ClassVar[str]
    loss_names: ClassVar[tuple[str, ...]]
    phases: ClassVar[tuple[str, ...]] = ("plain",)

    def __init__(self, name: str, seed: int, scale_losses: bool):
        super().__init__(name=name)
        self._scale_losses = scale_losses
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.data_fingerprint: str | None = None
        self.batch_size: int | None = None
        self.start_epoch = 0  # where the next `fit` begins: so many epochs and batches are done
        self.start_position = 0
        self.steps_per_epoch = 0
        self.position = 0  # batches done in the epoch under way
        counter = {"initializer": "zeros", "trainable": False, "dtype": "int32"}
        self._steps = self.add_weight(name="steps", **counter)
        self._images_seen = self.add_weight(name="images_seen", **counter)
        self._broken_step = self.add_weight(name="broken_step", **counter)  # 0: none is broken
        self._broken_term = self.add_weight(name="broken_term", **counter)
        self._trackers = {name: keras.metrics.Mean(name=name) for name in self.loss_names}
        self._next_step = 0
        self._began = (0, 0)  # steps and images seen when `fit` was called
        self._to_skip = 0
        self.metrics_to_restore: list[np.ndarray] | None = None  # of the epoch `fit` begins in

    # --- what a family says ---

    def update(self, images: Any, phase: str) -> dict[str, Any]:
        """One step of the algorithm.

        Args:
            images: float32 `(batch, height, width, 3)` in [-1, 1].
            phase: One of `phases`.

        Returns:
            Scalar losses by name; a phase may leave out some of `loss_names`.
        """
        raise NotImplementedError

    def phase_of(self, step: int) -> str:
        """Which variant of `update` the step runs (steps count from 0)."""
        return self.phases[0]

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """The optimizers of the paper, by the name of their network."""
        raise NotImplementedError

    def networks(self) -> dict[str, keras.Model]:
        """The trained networks, by the name of their optimizer."""
        raise NotImplementedError

    # --- Keras's side ---

    def compile(
        self,
        optimizers: Mapping[str, Any] | keras.optimizers.Optimizer | None = None,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Attach an optimizer to each network.

        Args:
            optimizers: One per name of `networks()`, as an object or by Keras's name; a family
                with one network takes it as it is. The paper's by default.
            jit_compile: `"auto"` compiles with XLA on JAX, and on TensorFlow where there is a GPU
                (on a CPU XLA made this package's steps 4 to 8 times slower).

        Raises:
            UserError: An optimizer is missing, has no network, or has two of them.
        """
        networks = self.networks()
        expected = f"expected one for each of {', '.join(sorted(networks))}, by these names"
        if optimizers is None:
            optimizers = self.default_optimizers()
        elif not isinstance(optimizers, Mapping):
            if len(networks) > 1:
                raise UserError(f"{self.family}: one optimizer for all networks; {expected}")
            optimizers = dict.fromkeys(networks, optimizers)
        if set(optimizers) != set(networks):
            raise UserError(
                f"{self.family}: optimizers for {', '.join(sorted(optimizers)) or 'nothing'}; "
                f"{expected}"
            )
        optimizers = {name: _optimizer(name, given) for name, given in optimizers.items()}
        if len({id(optimizer) for optimizer in optimizers.values()}) < len(optimizers):
            raise UserError(f"{self.family}: one optimizer for two networks; {expected}")
        if self._scale_losses:
            optimizers = {
                name: keras.optimizers.LossScaleOptimizer(optimizer)
                for name, optimizer in optimizers.items()
            }
        for name, optimizer in optimizers.items():
            optimizer.build(networks[name].trainable_variables)
        if jit_compile == "auto":
            jit_compile = backend.xla_is_faster()
        super().compile(
            optimizer=OptimizerGroup(optimizers), jit_compile=jit_compile, auto_scale_loss=False
        )
        self.train_function = None

    @property
    def metrics(self) -> list[keras.metrics.Metric]:
        return list(self._trackers.values())

    @property
    def steps(self) -> int:
        """Finished training steps."""
        return int(ops.convert_to_numpy(self._steps.value))

    @property
    def images_seen(self) -> int:
        """Training images seen so far, repetitions counted."""
        return int(ops.convert_to_numpy(self._images_seen.value))

    def images_before(self, step: int) -> int:
        """Images seen before a step of the `fit` under way, without waiting for the device."""
        steps, images = self._began
        return images + (step - steps) * (self.batch_size or 0)

    @property
    def broken(self) -> tuple[int, str] | None:
        """The first step and loss that was not finite, or None."""
        step = int(ops.convert_to_numpy(self._broken_step.value))
        if step == 0:
            return None
        return step, self.loss_names[int(ops.convert_to_numpy(self._broken_term.value))]

    @property
    def epoch_is_complete(self) -> bool:
        """Whether the epoch under way is trained to its end; false when it was cut off, and when
        a loss broke: there is nothing in it to draw, log or export then."""
        return self.position == self.steps_per_epoch and self.broken is None

    def sync(self) -> None:
        """Bring the variables up to date in the middle of an epoch (JAX keeps them aside)."""
        write_back(self)

    def keep_metrics_in_first_epoch(self, wanted: bool) -> None:
        """Keep the running means as they are now through the reset at the next epoch's start."""
        values = [ops.convert_to_numpy(v.value) for v in self.metrics_variables]
        self.metrics_to_restore = values if wanted else None

    def draw_other_numbers(self, offset: int) -> None:
        """Move the random stream aside, so that a repeated step is not the same step."""
        state = ops.convert_to_numpy(self.seed_generator.state.value)
        self.seed_generator.state.assign(state + np.array([0, 7919 * offset], state.dtype))

    def scaled(self, name: str, loss: Any) -> Any:
        """A loss multiplied by the loss scale of an optimizer, for float16."""
        return self.optimizer[name].scale_loss(loss)

    def apply_gradients(self, name: str, grads: list[Any]) -> None:
        """Update one network with gradients of its (scaled) loss."""
        variables = self.networks()[name].trainable_variables
        autodiff.apply_gradients(self.optimizer[name], grads, variables)

    def _run_update(self, data: Any, phase: str) -> dict[str, Any]:
        images = self._images_of(data)
        losses = self.update(images, phase)
        self._steps.assign_add(1)
        self._images_seen.assign_add(images.shape[0])
        finite = ops.stack([ops.isfinite(losses.get(name, 0.0)) for name in self.loss_names])
        first_break = ops.logical_and(
            ops.equal(self._broken_step.value, 0), ops.logical_not(ops.all(finite))
        )
        self._broken_step.assign(ops.where(first_break, self._steps.value, self._broken_step.value))
        term = ops.cast(ops.argmin(ops.cast(finite, "int32")), "int32")
        self._broken_term.assign(ops.where(first_break, term, self._broken_term.value))
        for name, loss in losses.items():
            self._trackers[name].update_state(loss)
        return {name: tracker.result() for name, tracker in self._trackers.items()}

    def _images_of(self, data: Any) -> Any:
        """A batch in the range of the networks, its size known while the step is compiled."""
        images = data[0] if isinstance(data, tuple | list) else data
        images = ops.reshape(images, (self.batch_size, *images.shape[1:]))
        return to_network_range(images)

    def _train_step_of(self, phase: str) -> Callable[..., Any]:
        """A training step of its own function object: `jax.jit` shares its cache between equal
        bound methods and would trace one phase only."""

        def train_step(data: Any) -> dict[str, Any]:
            return self._run_update(data, phase)

        def stateless_train_step(state: tuple[list[Any], ...], data: Any) -> tuple[Any, Any]:
            variables = (
                self.trainable_variables,
                self.non_trainable_variables,
                self.optimizer.variables,
                self.metrics_variables,
            )
            mapping = [
                pair
                for group, values in zip(variables, state, strict=True)
                for pair in zip(group, values, strict=True)
            ]
            with keras.StatelessScope(state_mapping=mapping) as scope:
                logs = self._run_update(data, phase)
            return logs, tuple([scope.get_current_value(v) for v in group] for group in variables)

        return stateless_train_step if backend.NAME == "jax" else train_step

    def make_train_function(self, force: bool = False) -> None:
        if self.train_function is not None and not force:
            return
        steps = {phase: self._train_step_of(phase) for phase in self.phases}
        functions = {}
        for phase, step in steps.items():
            self.train_step = step
            super().make_train_function(force=True)
            functions[phase] = self.train_function

        def train_function(*args: Any) -> Any:
            self.position = self.position % self.steps_per_epoch + 1
            if self._to_skip:  # a resumed epoch: these batches are trained already
                self._to_skip -= 1
                *state, iterator = args
                if backend.NAME != "torch":
                    next(iterator)
                return ({}, state[0]) if state else {}
            phase = self.phase_of(self._next_step)
            self._next_step += 1
            self.train_step = steps[phase]  # PyTorch's trainer looks it up at every step
            return functions[phase](*args)

        self.train_function = train_function

    def begin(self, batch_size: int, steps_per_epoch: int) -> None:
        """Get ready for the first step of a `fit`, which may lie in the middle of an epoch."""
        if batch_size != self.batch_size:
            self.batch_size, self.train_function = batch_size, None
        self.steps_per_epoch = steps_per_epoch
        self.position = 0
        self._next_step = self.steps
        self._began = (self.steps, self.images_seen)
        self._to_skip = self.start_position


def _optimizer(name: str, given: Any) -> keras.optimizers.Optimizer:
    """An optimizer from what Keras takes for one: itself, its name or its configuration."""
    try:
        return keras.optimizers.get(given)
    except (ValueError, TypeError):
        raise UserError(
            f"{name}: {given!r} is no optimizer; give one such as keras.optimizers.Adam(2e-4)"
        ) from None
