"""A StyleGAN2 that starts from another one's file, some layers frozen."""

import numpy as np
import pytest
from keras import ops

from facegen_keras.errors import UserError
from facegen_keras.export.write import save_generator


def value(tensor):
    return ops.convert_to_numpy(tensor)


def test_frozen_layers_are_those_of_the_file(tiny_stylegan2, tmp_path):
    source = tiny_stylegan2()
    path = save_generator(source, tmp_path / "stylegan2_generator.h5")
    with pytest.raises(UserError, match=r"channel_max 4 there and 2 here"):
        tiny_stylegan2(channel_max=2).start_from(path)
    trained = {v.path: value(v) for v in source.discriminator.variables}
    frozen = tiny_stylegan2(seed=6, freeze_discriminator=1)
    assert frozen.start_from(path) == []
    for variable in frozen.discriminator.variables:
        np.testing.assert_array_equal(value(variable), trained[variable.path])
    larger = tiny_stylegan2(resolution=64, channel_base=256, freeze_discriminator=1)
    with pytest.raises(UserError, match=r"b64_fromrgb of .* do not fit this model"):
        larger.start_from(path)
    (tmp_path / "stylegan2_discriminator.h5").unlink()
    assert tiny_stylegan2().start_from(path) == ["the discriminator"]
    with pytest.raises(UserError, match=r"stylegan2_discriminator\.h5 does not exist"):
        tiny_stylegan2(freeze_discriminator=1).start_from(path)


@pytest.mark.parametrize(("there", "here"), [(3, 2), (2, 3)])
def test_a_mapping_network_of_another_depth_is_refused(tiny_stylegan2, tmp_path, there, here):
    """Its first layers alone fit by name and shape, and mean nothing."""
    source = tiny_stylegan2(mapping_layers=there)
    path = save_generator(source, tmp_path / "stylegan2_generator.h5")
    with pytest.raises(UserError, match=f"give mapping_layers {there}"):
        tiny_stylegan2(mapping_layers=here).start_from(path)
