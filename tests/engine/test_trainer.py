"""`fit` of a family: phases, counters, averages of the losses, resuming in an epoch, refusals."""

import dataclasses

import keras
import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.data import order
from facegen_keras.engine.guards import NanGuard
from facegen_keras.engine.optimizer_group import OptimizerGroup
from facegen_keras.engine.run_state import Start
from facegen_keras.errors import UserError


@pytest.fixture(scope="module")
def images(made_up):
    return made_up(24)


def test_fit_counts_averages_and_chooses_phases(toy, images):
    model = toy()
    history = model.fit(images, epochs=2, batch_size=4, verbose=0)
    assert history.history["number"] == [3.5, 9.5]  # steps 1 to 6, then 7 to 12
    # Phase b at the steps 0, 4, 8, and the average is over the steps that report it.
    assert history.history["phase_b"] == [1.0, 1.0]
    assert model.steps == 12
    assert model.images_seen == 48
    assert model.broken is None
    assert model.epoch_is_complete
    assert len(model.data_fingerprint) == 64


def test_a_phase_runs_when_its_step_has_come(toy, images):
    model = toy()
    seen = []

    class Look(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            seen.append(float(model._trackers["phase_b"].total))

    model.fit(images, batch_size=3, verbose=0, callbacks=[Look()])
    assert seen == [1, 1, 1, 1, 2, 2, 2, 2]


def test_fit_can_go_on_in_the_middle_of_an_epoch(toy, images, state):
    class Cut(keras.callbacks.Callback):
        def on_train_batch_end(self, batch, logs=None):
            if self.model.steps == 9:
                self.values, self.model.stop_training = state(self.model), True

    whole, begun, resumed = toy(), toy(), toy()
    history = whole.fit(images, epochs=3, batch_size=4, verbose=0).history
    cut = Cut()
    begun.fit(images, epochs=3, batch_size=4, verbose=0, callbacks=[cut])
    assert begun.steps == 9
    assert not begun.epoch_is_complete
    assert begun.position == 3
    for variable, value in zip(
        [*resumed.variables, *resumed.optimizer.variables, *resumed.metrics_variables],
        cut.values.values(),
        strict=True,
    ):
        variable.assign(value)
    resumed.resume(begun.run_state(epoch=1, position=3))
    rest = resumed.fit(images, epochs=3, batch_size=4, verbose=0).history
    for name, values in rest.items():  # the cut epoch's averages over all of its steps, too
        np.testing.assert_array_equal(values, history[name][1:])
    for (name, value), expected in zip(state(resumed).items(), state(whole).values(), strict=True):
        np.testing.assert_array_equal(value, expected, err_msg=name)


def test_every_epoch_is_read_in_its_own_order(toy, images, monkeypatch):
    read = []
    batch = order.batch

    def reading(faces, seed, epoch, step, batch_size, share):
        read.append((epoch, step))
        return batch(faces, seed, epoch, step, batch_size, share)

    monkeypatch.setattr(order, "batch", reading)
    model = toy()
    model.start = Start(5)
    model.fit(images, epochs=8, batch_size=8, verbose=0)
    model.fit(images, epochs=1, batch_size=8, verbose=0)
    expected = [(epoch, step) for epoch in (5, 6, 7, 0) for step in range(3)]
    assert list(dict.fromkeys(read)) == expected


def test_the_first_loss_that_breaks_ends_training_and_is_told(toy, images):
    model = toy(broken_at=4)
    message = "colour is not a number at step 4: make the model again with a lower learning_rate$"
    with pytest.raises(UserError, match=message):
        model.fit(images, epochs=3, batch_size=4, verbose=0)
    assert model.steps == 6
    assert model.broken == (4, "colour")


def test_a_guard_of_the_caller_s_own_leaves_it_to_the_caller(toy, images):
    model = toy(broken_at=4)
    model.fit(images, epochs=3, batch_size=4, verbose=0, callbacks=[NanGuard()])
    assert model.steps == 6
    assert model.broken == (4, "colour")


def test_one_bar_for_the_whole_training(toy, images, capsys):
    toy().fit(images, epochs=3, batch_size=4)
    shown = capsys.readouterr().err
    assert shown.rstrip().splitlines()[-1].count("18/18") == 1
    assert "epoch 3/3" in shown
    assert shown.count("\n") == 1  # one line, drawn over and over


def test_other_numbers_are_drawn_after_a_rollback(toy, images):
    model = toy()
    before = np.array(model.seed_generator.state.value)
    model.skip_random_numbers(2)
    after = np.array(model.seed_generator.state.value)
    assert after[0] == before[0]
    assert after[1] == before[1] + 2 * 7919


def test_optimizer_group_carries_the_variables_of_all():
    optimizers = {name: keras.optimizers.Adam(0.1) for name in ("generator", "discriminator")}
    variables = [keras.Variable(np.zeros(k + 2, "float32")) for k in range(2)]
    for optimizer, variable in zip(optimizers.values(), variables, strict=True):
        optimizer.build([variable])
    group = OptimizerGroup(optimizers)
    assert group["generator"] is optimizers["generator"]
    expected = [*optimizers["generator"].variables, *optimizers["discriminator"].variables]
    assert [id(v) for v in group.variables] == [id(v) for v in expected]
    optimizers["generator"].apply([np.ones(2, "float32")], [variables[0]])
    assert int(group.iterations.value) == 1


class Given(keras.utils.PyDataset):
    """The caller's own batches, also with labels, of so many images each."""

    def __init__(self, images, sizes, labels=False):
        super().__init__()
        self.batches = np.split(images[: sum(sizes)], np.cumsum(sizes)[:-1])
        self.labels = labels

    def __len__(self):
        return len(self.batches)

    def __getitem__(self, index):
        batch = self.batches[index]
        return (batch, np.zeros(len(batch))) if self.labels else batch


@pytest.mark.parametrize("labels", [False, True])
def test_a_dataset_of_the_callers_own_batches_trains(toy, images, state, labels, tmp_path):
    model = toy()
    history = model.fit(
        Given(images, [4] * 6, labels), epochs=2, batch_size=4, checkpoints=tmp_path, verbose=0
    ).history
    assert history["number"] == [3.5, 9.5]
    assert model.steps == 12
    assert model.images_seen == 48
    again = toy()
    again.fit(Given(images, [4] * 6, labels), 2, 4, checkpoints=tmp_path, verbose=0)
    for (name, value), expected in zip(state(again).items(), state(model).values(), strict=True):
        np.testing.assert_array_equal(value, expected, err_msg=name)


@pytest.mark.parametrize(
    ("sizes", "which"), [([8, 8, 8], r"first .* \(8, 32"), ([4, 4, 2], r"last .* \(2, 32")]
)
def test_batches_of_another_size_are_refused_in_one_line(toy, images, sizes, which):
    message = f"batch_size 4: the {which}, 32, 3\\), expected \\(4, 32, 32, 3\\); every batch"
    model = toy()
    with pytest.raises(UserError, match=message) as raised:
        model.fit(Given(images, sizes), batch_size=4, verbose=0)
    assert "\n" not in str(raised.value)
    assert model.steps == 0


@pytest.mark.parametrize(("resolution", "expected"), [(32, 16), (128, 16), (512, 1), (1024, 1)])
def test_samples_are_drawn_in_chunks_of_bounded_memory(toy, resolution, expected):
    drawn = []

    class Sampling(type(toy(compile=False))):
        @property
        def sampling_network(self):
            def draw(latents, training):
                drawn.append(len(latents))
                return np.zeros((len(latents), 2, 2, 3), "float32")

            return draw

    model = Sampling()
    model.options = dataclasses.replace(model.options, resolution=resolution)
    assert len(model.sample(range(3))) == 3
    assert set(drawn) == {expected}


def test_refusals_say_what_to_do(toy, images):
    with pytest.raises(UserError, match=r"call compile\(\) before fit\(\)"):
        toy(compile=False).fit(images)
    model = toy()
    with pytest.raises(UserError, match=r"batch_size 25 is larger than the data \(24 images\)"):
        model.fit(images, batch_size=25)
    with pytest.raises(UserError, match="faces is a str; expected what load_faces returns"):
        toy().fit("faces.zip", verbose=0)
    with pytest.raises(UserError, match="images are 16x16, the model is 32x32"):
        model.fit(fg.load_faces(images[:, ::2, ::2], resolution=16), batch_size=4)
    with pytest.raises(UserError, match="optimizers for player; expected one for each of network"):
        model.compile({"player": keras.optimizers.Adam()})
    with pytest.raises(UserError, match="network: 'best' is not an optimizer; give one such as"):
        model.compile("best")
    for option, message in {
        "initial_epoch": "the restored checkpoint says where to begin",
        "validation_data": "hold photos out with faces.split",
        "steps_per_epoch": "an epoch is one pass over the faces",
    }.items():
        with pytest.raises(UserError, match=message):
            model.fit(images, batch_size=4, **{option: None})


def test_optimizers_as_keras_takes_them(toy, images):
    model = toy(compile=False)
    for given in ("sgd", keras.optimizers.SGD(), {"network": "sgd"}):
        model.compile(given)
        assert isinstance(model.optimizer["network"], keras.optimizers.SGD)
    model.fit(images, batch_size=4, verbose=0)
    assert model.steps == 6
    gan, one = fg.DCGAN(resolution=32, base_channels=2), keras.optimizers.Adam()
    expected = "expected one for each of discriminator, generator, by these names"
    for given in (one, {"generator": one, "discriminator": one}):
        with pytest.raises(UserError, match=expected):
            gan.compile(given)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"resolution": 48}, "resolution 48: expected a power of two from 32 to 1024; .* is 32"),
        ({"resolution": 16}, "resolution 16: .* nearest is 32"),
        ({"latent_dim": 0}, "latent_dim 0: expected a whole number from 1 on"),
        ({"latent_dim": 2.5}, "latent_dim 2.5: expected a whole number from 1 on"),
        ({"latent_dim": "many"}, "latent_dim 'many': expected a whole number from 1 on"),
        ({"precision": "float64"}, "precision 'float64': expected one of float32, bfloat16"),
    ],
)
def test_impossible_models_are_refused(options, message):
    with pytest.raises(UserError, match=message):
        fg.VAE(**options)


def test_one_batch_needs_no_fit(toy, made_up):
    model = toy()
    for count in (4, 4, 6):
        model.train_on_batch(made_up(count))
    assert (model.steps, model.images_seen) == (3, 14)
    with pytest.raises(UserError, match=r"a batch of shape \(32, 32, 3\)"):
        model.train_on_batch(made_up(1)[0])
    with pytest.raises(UserError, match="call compile"):
        toy(compile=False).train_on_batch(made_up(4))


def test_out_of_memory_says_what_to_lower(toy, made_up, monkeypatch):
    model = toy()

    def too_much(*args, **kwargs):
        raise RuntimeError("RESOURCE_EXHAUSTED: Out of memory allocating 7 bytes.\nBuffer ...")

    monkeypatch.setattr(keras.Model, "fit", too_much)
    with pytest.raises(UserError, match="out of memory at batch_size 4: lower batch_size") as told:
        model.fit(made_up(8), 1, 4, verbose=0)
    assert "\n" not in str(told.value)
