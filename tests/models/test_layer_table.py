"""A network as a table of its layers."""

import keras

import facegen_keras as fg


def test_layers_shapes_and_parameters():
    decoder = fg.VAE(resolution=32, latent_dim=6, base_channels=4).decoder
    lines = fg.layer_table(decoder).splitlines()
    assert lines[0].split() == ["layer", "kind", "output", "parameters"]
    assert lines[1].split() == ["project", "Dense", "256", f"{decoder.layers[1].count_params():,}"]
    assert lines[-1].strip() == f"{decoder.count_params():,}"
    assert len(lines) == len(decoder.layers) + 1  # heading and sum, without the input
    assert any("8 x 8 x 8" in line for line in lines)


def test_layers_without_a_graph_have_no_shape():
    class Two(keras.Model):
        def __init__(self):
            super().__init__()
            self.dense = keras.layers.Dense(3)

        def call(self, x):
            return self.dense(x)

    network = Two()
    network(keras.ops.zeros((1, 2)))
    assert fg.layer_table(network).splitlines()[1].split()[-2:] == ["Dense", "9"]
