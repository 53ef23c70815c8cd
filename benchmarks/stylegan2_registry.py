"""A StyleGAN2 training step: ours on TensorFlow against `stylegan2-pytorch` from PyPI.

The peer's own networks (its grouped convolutions, bilinear upsampling, style vectorizer) at the
same resolution, channels, mapping depth and batch, with its own losses, gradient penalty on photos
and samples, and moving average, in the order of its trainer; it asks for CUDA when imported, which
is answered here, because its networks run on a CPU as well.

    pip install --no-deps stylegan2-pytorch kornia kornia_rs einops
    python benchmarks/stylegan2_registry.py plain --batch 16 --steps 2
    python benchmarks/stylegan2_registry.py r1          # theirs: on photos and samples
    python benchmarks/stylegan2_registry.py path
"""

import os
import sys
import time
import types
from pathlib import Path
from unittest import mock

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.alternate import Measure, main
from benchmarks.stylegan2_step import MAPPING_LAYERS, PHASES, SIZE, W_DIM, ours, photos

UNUSED = ("aim", "contrastive_learner", "fire", "retry", "torchvision", "vector_quantize_pytorch")
GENERATOR_CAPACITY, DISCRIMINATOR_CAPACITY, CHANNEL_MAX = 32, 16, 128  # 64 channels at 64x64


def peer() -> types.ModuleType:
    """The peer's module without what only its command line and data loader import."""
    import torch

    for name in UNUSED:
        stand_in = mock.MagicMock(name=name)
        stand_in.__spec__ = None  # PyTorch asks torchvision for it
        sys.modules.setdefault(name, stand_in)
    with mock.patch.object(torch.cuda, "is_available", return_value=True):
        from stylegan2_pytorch import stylegan2_pytorch
    return stylegan2_pytorch


def registry(batch: int, steps: int, precision: str) -> Measure:
    import torch

    sg, phase = peer(), os.environ["PHASE"]
    low = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")
    mapping = sg.StyleVectorizer(W_DIM, MAPPING_LAYERS, lr_mul=0.1)
    generator = sg.Generator(SIZE, W_DIM, GENERATOR_CAPACITY, fmap_max=CHANNEL_MAX)
    discriminator = sg.Discriminator(SIZE, DISCRIMINATOR_CAPACITY, fmap_max=CHANNEL_MAX)
    players = [*generator.parameters(), *mapping.parameters()]
    averages = [value.detach().clone() for value in players]
    adam = {"lr": 2e-4, "betas": (0.5, 0.9)}
    optimizer_g = torch.optim.Adam(players, **adam)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **adam)
    path_mean = torch.zeros(())
    images = [
        torch.from_numpy(photos(batch)).permute(0, 3, 1, 2).float() / 255 for _ in range(steps)
    ]

    def generate() -> tuple[torch.Tensor, torch.Tensor]:
        layers = generator.num_layers
        cut = int(torch.rand(()) * layers)
        z = [(torch.randn(batch, W_DIM), cut), (torch.randn(batch, W_DIM), layers - cut)]
        styles = sg.styles_def_to_tensor(sg.latent_to_w(mapping, z))
        return generator(styles, torch.rand(batch, SIZE, SIZE, 1)), styles

    def step(real: torch.Tensor) -> None:
        optimizer_d.zero_grad()
        with low:
            fake = generate()[0].detach()
            if phase == "r1":
                fake.requires_grad_()
                real = real.clone().requires_grad_()
            fake_logits, real_logits = discriminator(fake)[0], discriminator(real)[0]
        loss = sg.hinge_loss(fake_logits.float(), real_logits.float())
        if phase == "r1":
            loss = loss + sg.gradient_penalty(real, real_logits)
            loss = loss + sg.gradient_penalty(fake, fake_logits)
        loss.backward()
        optimizer_d.step()
        optimizer_g.zero_grad()
        with low:
            fake, styles = generate()
            loss = sg.gen_hinge_loss(discriminator(fake)[0].float(), None)
        if phase == "path":
            loss = loss + ((sg.calc_pl_lengths(styles, fake) - path_mean) ** 2).mean()
        loss.backward()
        optimizer_g.step()
        if phase == "plain":  # theirs: every ten steps
            for average, value in zip(averages, players, strict=True):
                average.lerp_(value.detach(), 0.005)

    def measure() -> float:
        start = time.perf_counter()
        for real in images:
            step(real)
        return batch * steps / (time.perf_counter() - start)

    return measure


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in PHASES:
        os.environ["PHASE"] = sys.argv.pop(1)
    os.environ.setdefault("PHASE", "plain")
    main({"ours": ours, "stylegan2-pytorch": registry}, 16, 2, __doc__)
