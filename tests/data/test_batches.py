import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.data import order


def numbered(count: int) -> np.ndarray:
    """Images whose every pixel is the image's number."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 8, 8, 3))


def test_batches_follow_the_order_through_the_epochs():
    faces = fg.load_faces(numbered(23), resolution=8)
    batches = fg.FaceBatches(faces, 5, seed=9, start_epoch=2)
    assert len(batches) == batches.num_batches == 4
    for epoch in (2, 3):
        assert batches.epoch == epoch
        batches.on_epoch_begin()
        for step in range(4):
            batch = batches[step]
            assert (batch.shape, batch.dtype) == ((5, 8, 8, 3), np.uint8)
            expected = order.order(9, epoch, 23)[5 * step : 5 * step + 5]
            assert batch[:, 0, 0, 0].tolist() == expected.tolist()
        batches.on_epoch_end()


def test_skipped_steps_cost_nothing_and_end_with_their_epoch():
    faces = fg.load_faces(numbered(23) + 1, resolution=8)
    fresh = fg.FaceBatches(faces, 5, seed=1, start_epoch=4)
    resumed = fg.FaceBatches(faces, 5, seed=1, start_epoch=4, skip_steps=2)
    for step in (0, 1):
        assert resumed[step].shape == (5, 8, 8, 3)
        assert resumed[step].strides == (0, 0, 0, 0)
        assert not resumed[step].any()
    for step in (2, 3):
        assert (resumed[step] == fresh[step]).all()
    for batches in (fresh, resumed):
        batches.on_epoch_begin()
        _ = batches[3]
        batches.on_epoch_end()
        assert batches.epoch == 5
    assert all((resumed[step] == fresh[step]).all() for step in range(4))


def test_the_dataset_of_tensorflow_has_the_same_batches():
    faces = fg.load_faces(numbered(23), resolution=8)
    batches = fg.FaceBatches(faces, 5, seed=9, start_epoch=2, skip_steps=1)
    dataset = batches.tensorflow_dataset()
    assert len(dataset) == 4
    assert not dataset.options().autotune.enabled
    for epoch in (2, 3):
        batches.epoch = epoch
        read = [batch.numpy() for batch in dataset]
        expected = [order.batch(faces, 9, epoch, step, 5) for step in range(4)]
        if epoch == 2:
            expected[0] = np.zeros_like(expected[0])
        assert read[0].dtype == np.uint8
        assert (np.stack(read) == np.stack(expected)).all()


@pytest.mark.parametrize(
    ("options", "told"),
    [
        ({"batch_size": 24}, "batch_size 24 is larger than the data .23 images"),
        ({"batch_size": 0}, "batch_size 0 must be 1 or more"),
        ({"batch_size": 4, "seed": -1}, "seed -1: must be 0 or more"),
    ],
)
def test_impossible_batches(options, told):
    with pytest.raises(fg.UserError, match=told):
        fg.FaceBatches(fg.load_faces(numbered(23), resolution=8), **options)


def test_only_an_epoch_that_was_begun_and_read_counts():
    batches = fg.FaceBatches(fg.load_faces(numbered(9), resolution=8), 5)
    _ = batches[0]  # the only one, read by `fit` to learn its shape
    batches.on_epoch_end()
    batches.on_epoch_begin()
    batches.on_epoch_end()
    assert batches.epoch == 0


FIT = """
import keras, numpy as np
import facegen_keras as fg
from facegen_keras.data import order

seen = []

class Recorder(keras.Model):
    def train_step(self, *arguments):
        seen.append(np.asarray(arguments[-1][0])[:, 0, 0, 0].tolist())
        logs = {"loss": np.float32(0)}
        return (logs, arguments[0]) if keras.backend.backend() == "jax" else logs

images = np.zeros((23, 8, 8, 3), np.uint8) + np.arange(23, dtype=np.uint8)[:, None, None, None]
faces = fg.load_faces(images, resolution=8, progress=False)
for size, skip in ((5, 0), (5, 1), (23, 0)):
    batches = fg.FaceBatches(faces, size, seed=7, start_epoch=3, skip_steps=skip)
    model = Recorder()
    model.built = True
    model.compile(optimizer="sgd", run_eagerly=True)
    seen.clear()
    model.fit(batches, epochs=2, shuffle=False, verbose=0)
    model.fit(batches, epochs=1, shuffle=False, verbose=0)
    expected = [
        order.order(7, epoch, 23)[size * step : size * (step + 1)].tolist()
        for epoch in (3, 4, 5) for step in range(23 // size)
    ]
    if skip:
        expected[0] = [0] * size
    assert seen == expected, (size, skip, seen, expected)
print("same")
"""


@pytest.mark.parametrize("backend", ["tensorflow", "jax", "torch"])
def test_fit_sees_the_order(backend, on_backend):
    assert on_backend(FIT, backend).strip() == "same"
