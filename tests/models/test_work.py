"""What a step costs, counted from the options, against the networks themselves."""

import math

import pytest

from facegen_keras.models import FAMILIES
from facegen_keras.models.work import Work, warm_up_work, work_of

TINY = {
    "vae": {"base_channels": 4, "latent_dim": 8},
    "dcgan": {"base_channels": 4, "latent_dim": 8},
    "combined": {"base_channels": 4, "latent_dim": 8},
    "stylegan2": {"channel_base": 512, "channel_max": 16, "latent_dim": 8, "w_dim": 12,
                  "mapping_layers": 2},
}  # fmt: skip


def test_every_family_is_counted():
    assert set(TINY) == set(FAMILIES)


@pytest.mark.parametrize("family", TINY)
def test_the_weights_are_those_of_the_networks(family):
    options = FAMILIES[family].options_type(resolution=32, **TINY[family])
    model = FAMILIES[family](**options.as_dict())
    kernels = sum(
        math.prod(weight.shape)
        for network in model.networks().values()
        for weight in network.trainable_variables
        if len(weight.shape) > 1
    )
    counted = work_of(family, options).weights
    assert abs(counted - kernels) < 0.06 * kernels, (counted, kernels)


def test_official_stylegan2_at_64():
    """About 47 million weights; 128 images took 18 GB."""
    work = work_of("stylegan2", FAMILIES["stylegan2"].options_type())
    assert work.weights == pytest.approx(47.2e6, rel=0.01)
    assert 16e9 < work.memory(128) < 20e9
    assert work.memory(32) < 6e9


def test_regularizers_cost_what_they_do():
    kind = FAMILIES["stylegan2"].options_type
    plain = work_of("stylegan2", kind(path_weight=0, r1_gamma=0))
    whole = work_of("stylegan2", kind())
    assert 1.05 < whole.operations / plain.operations < 1.3
    assert (whole.weights, whole.activations) == (plain.weights, plain.activations)
    kind = FAMILIES["dcgan"].options_type
    plain = work_of("dcgan", kind())
    assert work_of("dcgan", kind(r1_gamma=1.0)).operations > plain.operations
    assert work_of("dcgan", kind(r1_gamma=1.0, r2_gamma=1.0, r1_interval=1)).operations > (
        1.2 * plain.operations
    )
    assert 1.05 < work_of("dcgan", kind(loss="relativistic")).operations / plain.operations < 1.2
    assert Work(10, 1.0, 100).memory(2) == 10 * 4 * 4 + 18 * 200


def test_a_perceptual_loss_costs_three_passes_through_vgg16():
    """One over the photo, one over the reconstruction, one back to it; none of it is trained."""
    options = FAMILIES["vae"].options_type
    plain, seeing = (
        work_of("vae", options(reconstruction="gaussian", perceptual_weight=weight))
        for weight in (0.0, 1.0)
    )
    sides, widths = (64, 64, 32, 32, 16, 16, 16), (3, 64, 64, 128, 128, 256, 256, 256)
    products = sum(
        9 * a * b * side**2 for side, a, b in zip(sides, widths[:-1], widths[1:], strict=True)
    )
    assert seeing.operations - plain.operations == 2 * 3 * products
    assert seeing.weights == plain.weights
    outputs = sum(width * side**2 for side, width in zip(sides, widths[1:], strict=True))
    assert seeing.activations - plain.activations == 2 * outputs


def test_a_step_without_the_generators_gradient():
    options = FAMILIES["combined"].options_type(resolution=32, latent_dim=8, base_channels=4)
    decoder = 8 * 16 * 16 + sum(side**2 * 16 * a * b for side, a, b in (
        (4, 16, 8), (8, 8, 4), (16, 4, 3)
    ))  # fmt: skip
    down = sum(side**2 * 16 * a * b for side, a, b in ((16, 3, 4), (8, 4, 8), (4, 8, 16)))
    encoder, discriminator = down + 16 * 16 * 16, down + 16 * 16
    assert warm_up_work(options).operations == 2 * (3 * encoder + decoder + 6 * discriminator)
    assert warm_up_work(options).operations < work_of("combined", options).operations
