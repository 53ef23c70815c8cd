"""A DCGAN training step: ours on TensorFlow against plain PyTorch as in its DCGAN tutorial.

The same architecture (64x64, 64 base channels, latent 100), batch and Adam. PyTorch runs
channels_last with one generator forward for both updates. Ours runs through `fit`, with everything
that it does besides: the average of the weights, accuracies, the finiteness check.

    python benchmarks/dcgan_step.py            # goal: ratio 1.15 or more on a CPU
"""

import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.alternate import Measure, compiled, main


def photos(count: int) -> np.ndarray:
    """Made-up images, uint8 (count, 64, 64, 3)."""
    return np.random.RandomState(0).randint(0, 256, (count, 64, 64, 3), "uint8")


def ours(batch: int, steps: int, precision: str) -> Measure:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import facegen_keras as fg

    model = fg.DCGAN(resolution=64, latent_dim=100, precision=precision)
    model.compile()
    faces = fg.load_faces(photos(batch * steps), resolution=64, progress=False)

    def measure() -> float:
        start = time.perf_counter()
        model.fit(faces, epochs=1, batch_size=batch, verbose=0)
        return len(faces) / (time.perf_counter() - start)

    return measure


def pytorch(batch: int, steps: int, precision: str) -> Measure:
    import torch
    from torch import nn

    def up(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]

    def down(inputs: int, outputs: int) -> list[nn.Module]:
        convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False)
        return [convolution, nn.BatchNorm2d(outputs), nn.LeakyReLU(0.2, inplace=True)]

    first = nn.ConvTranspose2d(100, 512, 4, 1, 0, bias=False)
    generator = nn.Sequential(
        *(first, nn.BatchNorm2d(512), nn.ReLU(inplace=True)),
        *(*up(512, 256), *up(256, 128), *up(128, 64)),
        *(nn.ConvTranspose2d(64, 3, 4, 2, 1, bias=False), nn.Tanh()),
    )
    discriminator = nn.Sequential(
        *(nn.Conv2d(3, 64, 4, 2, 1, bias=False), nn.LeakyReLU(0.2, inplace=True)),
        *(*down(64, 128), *down(128, 256), *down(256, 512)),
        *(nn.Conv2d(512, 1, 4, 1, 0, bias=False), nn.Sigmoid()),
    )
    generator = generator.to(memory_format=torch.channels_last)
    discriminator = discriminator.to(memory_format=torch.channels_last)
    adam = {"lr": 2e-4, "betas": (0.5, 0.999)}
    optimizer_g = torch.optim.Adam(generator.parameters(), **adam)
    optimizer_d = torch.optim.Adam(discriminator.parameters(), **adam)
    generator, discriminator = compiled(generator), compiled(discriminator)
    criterion = nn.BCELoss()  # in float32, as autocast demands

    def judge(x: torch.Tensor, labels: torch.Tensor) -> torch.Tensor:
        with low:
            output = discriminator(x)
        return criterion(output.float().view(-1), labels)

    images = torch.from_numpy(photos(batch * steps))

    low = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")

    def step(uint8: torch.Tensor) -> None:
        real = uint8.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        real = real.contiguous(memory_format=torch.channels_last)
        ones, zeros = torch.ones(batch), torch.zeros(batch)
        discriminator.zero_grad()
        judge(real, ones).backward()
        with low:
            fake = generator(torch.randn(batch, 100, 1, 1))
        judge(fake.detach(), zeros).backward()
        optimizer_d.step()
        generator.zero_grad()
        judge(fake, ones).backward()
        optimizer_g.step()

    def measure() -> float:
        start = time.perf_counter()
        for part in images.split(batch):
            step(part)
        return len(images) / (time.perf_counter() - start)

    return measure


if __name__ == "__main__":
    main({"ours": ours, "pytorch": pytorch}, batch=128, steps=4, doc=__doc__)
