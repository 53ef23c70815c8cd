"""Captions say whose faces they are, and stay with their figures."""

import numpy as np
import pytest

import facegen_keras as fg
from facegen_keras import figures
from facegen_keras.errors import UserError
from facegen_keras.figures.architecture import DIAGRAMS

ROOT = fg.__file__.rpartition("/facegen_keras/")[0]


def test_captions_are_printed_and_kept(tmp_path, capsys):
    figure = figures.image_grid(np.zeros((2, 8, 8, 3), np.uint8))
    figures.save(figure, "02_b", "The second.", tmp_path)
    figures.save(figure, "01_a", "The first,\nin two lines.", tmp_path)
    figures.save(figure, "02_b", "The second, drawn again.", tmp_path)
    figures.save(figure, "03_c", folder=tmp_path)
    assert "Figure: The second, drawn again." in capsys.readouterr().out
    assert (tmp_path / "captions.md").read_text().split("\n\n") == [
        "# Captions of the figures in this folder",
        "**01_a** The first, in two lines.",
        "**02_b** The second, drawn again.\n",
    ]


def test_credit_names_the_model_its_images_and_its_data():
    shipped = fg.load_generator(f"{ROOT}/saved_models/dcgan_generator.h5")
    assert figures.credit(shipped) == "dcgan_generator.h5 (703,488 images of celeba_64.zip, seed 0)"
    assert figures.credit(fg.Generator(shipped.model, "dcgan")) == "a dcgan generator"
    model = fg.VAE(resolution=32, latent_dim=4, base_channels=4)
    assert figures.credit(model) == "the VAE trained here (0 images, seed 0)"


@pytest.mark.parametrize("family", DIAGRAMS)
def test_every_family_has_a_diagram(family):
    boxes, arrows = DIAGRAMS[family]
    for arrow in arrows:
        assert {arrow.start, arrow.end} <= set(boxes)
    assert set(boxes) == {name for arrow in arrows for name in (arrow.start, arrow.end)}
    (ax,) = figures.architecture(family).axes
    words = {text.get_text() for text in ax.texts}
    assert {box.text for box in boxes.values()} <= words
    with pytest.raises(UserError, match="expected one of vae, dcgan, combined, stylegan2"):
        figures.architecture("gan")
