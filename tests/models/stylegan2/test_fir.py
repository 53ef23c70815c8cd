"""The filter [1, 3, 3, 1] against its definition, and its gradients."""

import keras
import numpy as np
import pytest
from keras import ops

from facegen_keras.engine import autodiff
from facegen_keras.models.stylegan2 import fir


@pytest.mark.parametrize("form", ["smooth", "downsample", "upsample"])
def test_the_filter_is_zero_insertion_and_convolution(form):
    x = np.random.RandomState(0).randn(2, 6, 6, 3).astype("float32")
    up = np.zeros((2, 12, 12, 3), "float32")
    up[:, ::2, ::2] = x
    source, pad, gain, stride = {
        "smooth": (x, (1, 1), 4.0, 1),
        "downsample": (x, (1, 1), 1.0, 2),
        "upsample": (up, (2, 1), 4.0, 1),
    }[form]
    padded = np.pad(source, ((0, 0), pad, pad, (0, 0)))
    size = padded.shape[1] - 3
    kernel = np.outer([1, 3, 3, 1], [1, 3, 3, 1]) / 64 * gain
    expected = sum(
        kernel[i, j] * padded[:, i : i + size, j : j + size] for i in range(4) for j in range(4)
    )[:, ::stride, ::stride]
    call = {
        "smooth": lambda: fir.smooth(x, padding=1, gain=4.0),
        "downsample": lambda: fir.downsample(x),
        "upsample": lambda: fir.upsample(x),
    }[form]
    np.testing.assert_allclose(ops.convert_to_numpy(call()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("channels", [3, 16])
@pytest.mark.parametrize("form", ["smooth", "downsample", "upsample"])
def test_the_filter_is_differentiated_alike_in_16_bits(form, channels):
    def of_square(x):
        if form == "smooth":
            y = fir.smooth(x, padding=2)
        else:
            y = fir.downsample(x) if form == "downsample" else fir.upsample(x)
        return ops.sum(ops.square(ops.cast(y, "float32"))), y

    x = np.random.RandomState(0).randn(2, 8, 8, channels).astype("float32")
    wide, narrow = ops.convert_to_tensor(x), ops.cast(x, "bfloat16")
    value, y, gradient = autodiff.input_gradient(of_square, wide)
    # The filter A is linear: |Ax|^2 has the gradient 2 A'Ax, so its product with x is 2 |Ax|^2.
    assert float(ops.sum(gradient * wide)) == pytest.approx(2 * float(value), rel=1e-4)
    _, y_narrow, gradient_narrow = autodiff.input_gradient(of_square, narrow)
    for expected, found in ((y, y_narrow), (gradient, gradient_narrow)):
        assert keras.backend.standardize_dtype(found.dtype) == "bfloat16"
        found = ops.convert_to_numpy(ops.cast(found, "float32"))
        np.testing.assert_allclose(found, expected, atol=0.02 * np.abs(expected).max())
