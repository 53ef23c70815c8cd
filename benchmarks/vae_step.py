"""A VAE training step: ours on TensorFlow against plain PyTorch.

The same architecture (64x64, 64 base channels, latent 128), batch, Adam and loss (squared error
summed over pixels, plus KL). PyTorch runs channels_last. Ours runs through `fit`, with everything
that it does besides.

    python benchmarks/vae_step.py              # goal: ratio 1.15 or more on a CPU
"""

import os
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.alternate import Measure, compiled, main
from benchmarks.dcgan_step import photos


def ours(batch: int, steps: int, precision: str) -> Measure:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import facegen_keras as fg

    model = fg.VAE(resolution=64, latent_dim=128, precision=precision)
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

    def block(convolution: nn.Module, channels: int) -> list[nn.Module]:
        return [convolution, nn.BatchNorm2d(channels), nn.LeakyReLU(0.2, inplace=True)]

    def down(inputs: int, outputs: int) -> list[nn.Module]:
        return block(nn.Conv2d(inputs, outputs, 4, 2, 1, bias=False), outputs)

    def up(inputs: int, outputs: int) -> list[nn.Module]:
        return block(nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False), outputs)

    encoder = nn.Sequential(
        *(*down(3, 64), *down(64, 128), *down(128, 256), *down(256, 512)),
        *(nn.Flatten(), nn.Linear(4 * 4 * 512, 2 * 128)),
    )
    decoder = nn.Sequential(
        *(nn.Linear(128, 4 * 4 * 512), nn.Unflatten(1, (512, 4, 4))),
        *(*up(512, 256), *up(256, 128), *up(128, 64)),
        *(nn.ConvTranspose2d(64, 3, 4, 2, 1), nn.Tanh()),
    )
    model = nn.Sequential(encoder, decoder).to(memory_format=torch.channels_last)
    optimizer = torch.optim.Adam(model.parameters(), lr=2e-4)
    encoder, decoder = compiled(encoder), compiled(decoder)
    images = torch.from_numpy(photos(batch * steps))

    low = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")

    def step(uint8: torch.Tensor) -> None:
        real = uint8.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        real = real.contiguous(memory_format=torch.channels_last)
        with low:
            statistics = encoder(real)
        mean, log_variance = statistics.float().chunk(2, dim=1)
        z = mean + torch.exp(0.5 * log_variance) * torch.randn_like(mean)
        with low:
            output = decoder(z)
        error = (output.float() - real).square().sum(dim=(1, 2, 3)).mean()
        kl = 0.5 * (mean.square() + log_variance.exp() - 1 - log_variance).sum(dim=1).mean()
        optimizer.zero_grad()
        (error + kl).backward()
        optimizer.step()

    def measure() -> float:
        start = time.perf_counter()
        for part in images.split(batch):
            step(part)
        return len(images) / (time.perf_counter() - start)

    return measure


if __name__ == "__main__":
    main({"ours": ours, "pytorch": pytorch}, batch=64, steps=8, doc=__doc__)
