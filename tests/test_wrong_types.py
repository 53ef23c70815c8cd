"""A value of a wrong type is one line that names the argument, not a traceback from deep inside."""

import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras.errors import UserError
from facegen_keras.mixture import fit_mixture

FACES = np.zeros((8, 32, 32, 3), np.uint8)


@pytest.fixture(scope="module")
def model():
    model = fg.VAE(resolution=32, latent_dim=4, base_channels=4)
    model.compile()
    return model


CALLS = {
    "source 3": lambda model: fg.load_faces(3),
    "resolution '32'": lambda model: fg.load_faces(FACES, resolution="32"),
    "limit 3": lambda model: fg.load_faces(FACES, limit="3"),
    "workers 3": lambda model: fg.load_faces(FACES, workers="3"),
    "min_size '3'": lambda model: fg.load_faces(FACES, min_size="3"),
    "held_out '0.1'": lambda model: fg.load_faces(FACES, resolution=32).split("0.1"),
    "model_path None": lambda model: fg.load_generator(None),
    "resolution None": lambda model: fg.VAE(resolution=None),
    "epochs '1'": lambda model: model.fit(FACES, epochs="1", batch_size=4),
    "batch_size 4.0": lambda model: model.fit(FACES, epochs=1, batch_size=4.0),
    "checkpoints 3": lambda model: model.fit(FACES, epochs=1, batch_size=4, checkpoints=3),
    "callbacks 3": lambda model: model.fit(FACES, epochs=1, batch_size=4, callbacks=3),
    "seeds 3": lambda model: model.sample(3),
    "path None": lambda model: fg.save_generator(model, None),
    "model: a int": lambda model: fg.save_generator(3, "x.h5"),
    "path 3": lambda model: fg.save_grid(FACES, 3),
    "shape '6x6'": lambda model: fg.save_grid(FACES, "x.png", shape="6x6"),
    "metrics 3": lambda model: fg.metrics.evaluate(FACES, FACES, metrics=3),
    "network: a Generator": lambda model: fg.layer_table(fg.Generator(model.decoder)),
    "components 0": lambda model: fit_mixture(np.zeros((8, 3)), 0),
    "components 2.0": lambda model: fit_mixture(np.zeros((8, 3)), 2.0),
    "stats None": lambda model: fg.metrics.Statistics.load(None),
}


@pytest.mark.parametrize("named", CALLS)
def test_the_argument_is_named_in_one_line(named, model):
    with pytest.raises(UserError) as told:
        CALLS[named](model)
    assert str(told.value).startswith(named)
    assert "\n" not in str(told.value)
