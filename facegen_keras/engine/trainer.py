"""`Trainer`: one stateful `update` of a GAN or a VAE as Keras's training step, on every backend.

A family states its algorithm once, in `update(images, phase)`, with layers, optimizers and the
functions of `autodiff`. This class makes a training step of it:

- TensorFlow and PyTorch call it as it is; on JAX it runs inside a `keras.StatelessScope` over all
  variables, whose values are read back afterwards.
- Lazy regularization without a branch in the graph: one compiled step per `phase`, chosen by the
  number of the step (`phase_of`).
- The losses are averaged over the epoch. The first step at which one of them stops being finite
  is kept in a variable, so that it is known exactly although it is asked for seldom.
- What a resumed training needs is a variable of this object or in its `run_state`.

This is the lowest layer of a training: `checkpoint`, `guards`, `resume` and `fit` work on a
`Trainer`, and `FaceModel` puts what users call on top.
"""

from collections.abc import Callable, Hashable, Mapping
from typing import Any, ClassVar

import keras
import numpy as np
from keras import ops

from facegen_keras import backend
from facegen_keras.backend.keras_private import write_back
from facegen_keras.backend.types import Losses, Tensor
from facegen_keras.data.faces import Faces
from facegen_keras.engine import autodiff, distribution
from facegen_keras.engine.optimizer_group import OptimizerGroup, one_per_network
from facegen_keras.engine.run_state import RunState, Start, plain_options
from facegen_keras.engine.whole_model import WholeModel
from facegen_keras.errors import UserError
from facegen_keras.inference import to_network_range

# How far `skip_random_numbers` moves the stream: a prime, larger than the numbers drawn per step.
RANDOM_DETOUR = 7919


class Trainer(WholeModel):
    """A Keras model whose training step is a family's `update`.

    A subclass sets `family` and `loss_names` (the keys that `update` returns), and implements
    `update`, `networks` and `default_optimizers`.

    Args:
        name: The family.
        seed: Seed of every random number drawn while training; the stream is kept in variables.
        scale_losses: Whether each optimizer gets a dynamic loss scale, as float16 needs.
        more_losses: What `update` returns with these options beside `loss_names`.

    Attributes:
        loss_names: What is logged.
        data_fingerprint: Identity of the photos last trained on; None before, and for batches of
            the caller's own.
        mirror: Whether half of these photos are flipped at random; None where that is unknown.
        photos: The photos last trained on; None before, and for batches of the caller's own.
        batch_size: Images per step, or None before the first `fit`.
        start: Where the next `fit` begins: after the last epoch of a restored checkpoint.
        steps_per_epoch: Batches in an epoch of the `fit` under way.
        position: Finished batches of the epoch under way.
    """

    family: ClassVar[str]
    loss_names: tuple[str, ...]
    batch_parts: tuple[int, str] = (1, "")  # equal parts a step cuts a batch into, and why
    train_function: Callable[..., Any] | None

    def __init__(
        self, name: str, seed: int, scale_losses: bool, more_losses: tuple[str, ...] = ()
    ) -> None:
        super().__init__(name=name)
        self.loss_names = (*self.loss_names, *more_losses)
        self._scale_losses = scale_losses
        self.seed_generator = keras.random.SeedGenerator(seed)
        self.data_fingerprint: str | None = None
        self.mirror: bool | None = None
        self.photos: Faces | None = None
        self.batch_size: int | None = None
        self.start = Start()
        self.steps_per_epoch = 0
        self.position = 0
        counter = {"initializer": "zeros", "trainable": False, "dtype": "int32"}
        self._steps = self.add_weight(name="steps", **counter)
        self._images_seen = self.add_weight(name="images_seen", **counter)
        self._broken_step = self.add_weight(name="broken_step", **counter)  # 0: none is broken
        self._broken_term = self.add_weight(name="broken_term", **counter)
        self._trackers = {name: keras.metrics.Mean(name=name) for name in self.loss_names}
        self._next_step = 0
        self._began = (0, 0)  # steps and images seen when `fit` was called
        self._to_skip = 0  # batches of a resumed epoch that were trained before
        self._spoilt: tuple[int, str] | None = None  # step and weight, once one is not finite

    # --- what a family provides ---

    def update(self, images: Tensor, phase: Any) -> Losses:
        """One step of the algorithm.

        Args:
            images: float32 `(batch, height, width, 3)` in [-1, 1].
            phase: One of `phases`.

        Returns:
            Scalar losses by name; a phase may omit some of `loss_names`.
        """
        raise NotImplementedError

    @property
    def phases(self) -> tuple[Hashable, ...]:
        """The variants of `update`, each compiled on its own; a subclass may have its own."""
        return ("plain",)

    def phase_of(self, step: int) -> Any:
        """The variant of `update` that a step runs (steps count from 0)."""
        return self.phases[0]

    def default_optimizers(self) -> dict[str, keras.optimizers.Optimizer]:
        """The optimizers of the paper, by the name of their network."""
        raise NotImplementedError

    def networks(self) -> dict[str, keras.Model]:
        """The trained networks, by the name of their optimizer."""
        raise NotImplementedError

    def default_config(self) -> dict[str, Any]:
        """What `get_config` says where nothing else was asked for.

        A checkpoint from before an option existed was trained with its default.
        """
        return {}

    # --- what Keras calls ---

    def compile(
        self,
        optimizers: Mapping[str, Any] | keras.optimizers.Optimizer | None = None,
        jit_compile: bool | str = "auto",
    ) -> None:
        """Attach an optimizer to each network.

        Args:
            optimizers: One per name of `networks()`, as an object or by Keras's name; a family
                with one network also takes it without the name. By default those of the paper.
            jit_compile: `"auto"` compiles with XLA on JAX, and on TensorFlow where there is a GPU
                (on a CPU XLA made this package's steps 4 to 8 times slower).

        Raises:
            UserError: An optimizer is missing, has no network, or has two of them.
        """
        networks = self.networks()
        if optimizers is None:
            optimizers = self.default_optimizers()
        optimizers = one_per_network(optimizers, networks, self.family)
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

    def train_on_batch(self, x: Any, *args: Any, **kwargs: Any) -> Any:
        """One step on a batch, uint8 `(batch, height, width, 3)`; `fit` is the usual way.

        Raises:
            UserError: `compile` was not called, or the batch has no axis of images.
        """
        if not self.compiled:
            raise UserError("call compile() before train_on_batch(): it takes the paper's values")
        if np.ndim(x) != 4:
            raise UserError(
                f"train_on_batch: a batch of shape {np.shape(x)}; expected uint8 images "
                "(batch, height, width, 3)"
            )
        if not self.steps_per_epoch or len(x) != self.batch_size:
            self.begin(len(x), 1)
        return super().train_on_batch(x, *args, **kwargs)

    def reset_metrics(self) -> None:
        """Reset the running means, except for an epoch that is resumed: its means continue.

        Keras calls this at the start of every epoch.
        """
        if not self._to_skip:
            super().reset_metrics()

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
        """The first step and loss that was not finite, or None; or that a weight is not."""
        if self._spoilt is not None:
            return self._spoilt
        step = int(ops.convert_to_numpy(self._broken_step.value))
        if step == 0:
            return None
        return step, self.loss_names[int(ops.convert_to_numpy(self._broken_term.value))]

    def has_finite_weights(self) -> bool:
        """Whether every weight is a number. If not, the training is `broken` from here on: a loss
        would show it at the next step only.
        """
        for network in self.networks().values():
            for variable in network.variables:
                values = ops.convert_to_numpy(variable.value)
                if values.dtype.kind == "f" and not np.isfinite(values).all():
                    self._spoilt = (self.steps, variable.path)
                    return False
        return True

    @property
    def epoch_is_complete(self) -> bool:
        """Whether the epoch under way is trained to its end: not when it was cut off, nor when a
        loss stopped being finite. Otherwise there is nothing to draw, log or export.
        """
        return self.position == self.steps_per_epoch and self.broken is None

    def never_computed(self) -> list[str]:
        """The losses that no step of the epoch has computed, since their phase was never due."""
        counts = {name: tracker.count for name, tracker in self._trackers.items()}
        return [name for name, count in counts.items() if not float(ops.convert_to_numpy(count))]

    def sync(self) -> None:
        """Update the variables in the middle of an epoch: Keras keeps their values elsewhere on
        JAX.
        """
        write_back(self)

    def run_state(
        self, epoch: int, position: int, callbacks: Mapping[str, Any] | None = None
    ) -> RunState:
        """What a checkpoint has to keep beside the variables.

        Args:
            epoch: Finished epochs.
            position: Finished batches of the epoch after them.
            callbacks: States of callbacks, by key.
        """
        return RunState(
            family=self.family,
            options=plain_options(self.get_config()),
            batch_size=self.batch_size,
            data_fingerprint=self.data_fingerprint,
            mirror=self.mirror,
            epoch=epoch,
            position=position,
            step=self.steps,
            images_seen=self.images_seen,
            backend=keras.backend.backend(),
            callbacks=callbacks or {},
        )

    def resume(self, state: RunState) -> None:
        """Let the next `fit` begin where a checkpoint ended, whose variables are restored."""
        self.start, self._spoilt = state.start, None
        self._count_from_here()
        self.batch_size = state.batch_size
        self.data_fingerprint, self.mirror = state.data_fingerprint, state.mirror

    def begin(
        self,
        batch_size: int,
        steps_per_epoch: int,
        data_fingerprint: str | None = None,
        mirror: bool | None = None,
    ) -> None:
        """Prepare for the first step of a `fit`, which may be in the middle of an epoch.

        Raises:
            UserError: The devices cannot share a batch evenly.
        """
        self.check_batch_size(batch_size)
        if batch_size != self.batch_size:
            self.batch_size, self.train_function = batch_size, None
        self.data_fingerprint, self.mirror = data_fingerprint, mirror
        self.steps_per_epoch = steps_per_epoch
        self.position = self.start.position
        self._count_from_here()
        self._to_skip = self.start.position

    def _count_from_here(self) -> None:
        """Let `phase_of` and `images_before` go on from what the variables say."""
        self._next_step = self.steps
        self._began = (self.steps, self.images_seen)

    def check_batch_size(self, batch_size: int) -> None:
        """Refuse a batch that several devices cannot share evenly.

        Raises:
            UserError: They cannot; says which sizes they can.
        """
        distribution.check_batch_size(batch_size, *self.batch_parts)

    def end(self) -> None:
        """After a `fit`: the next one counts its epochs from 0."""
        self.start = Start()

    def skip_random_numbers(self, attempt: int) -> None:
        """Move the random stream on, so that a repeated step is not the same step."""
        state = ops.convert_to_numpy(self.seed_generator.state.value)
        detour = np.array([0, RANDOM_DETOUR * attempt], state.dtype)
        self.seed_generator.state.assign(state + detour)

    def scaled(self, name: str, loss: Tensor) -> Tensor:
        """A loss multiplied by the loss scale of an optimizer, for float16."""
        return self.optimizer[name].scale_loss(loss)

    def apply_gradients(self, name: str, grads: list[Tensor]) -> None:
        """Update one network with gradients of its (scaled) loss."""
        variables = self.networks()[name].trainable_variables
        autodiff.apply_gradients(self.optimizer[name], grads, variables)

    def _run_update(self, data: Tensor, phase: Any) -> Losses:
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

    def _images_of(self, data: Tensor) -> Tensor:
        """A batch in the networks' range of values, its size known while the step is compiled."""
        images = data[0] if isinstance(data, tuple | list) else data
        images = ops.reshape(images, (self.batch_size, *images.shape[1:]))
        return to_network_range(images)

    def train_step_of(self, phase: Any) -> Callable[..., Any]:
        """The training step of a phase, as Keras calls it: on JAX a pure function of the state.

        It is a function object of its own: `jax.jit` shares its cache between equal bound methods,
        and would trace one phase only.
        """

        def train_step(data: Tensor) -> Losses:
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
        steps = {phase: self.train_step_of(phase) for phase in self.phases}
        functions: dict[Hashable, Callable[..., Any]] = {}
        for phase, step in steps.items():
            self.train_step = step
            super().make_train_function(force=True)
            assert self.train_function is not None  # Keras has just made it
            functions[phase] = self.train_function

        def train_function(*args: Any) -> Any:
            if self._to_skip:  # a resumed epoch: these batches were trained before, and are counted
                self._to_skip -= 1
                *state, iterator = args
                if backend.NAME != "torch":
                    next(iterator)
                return ({}, state[0]) if state else {}
            self.position = self.position % self.steps_per_epoch + 1
            phase = self.phase_of(self._next_step)
            self._next_step += 1
            self.train_step = steps[phase]  # PyTorch's trainer looks it up at every step
            return functions[phase](*args)

        self.train_function = train_function
