"""A StyleGAN2 training step: ours on TensorFlow against plain PyTorch.

The same networks, channels, batch and Adam, float32. PyTorch runs what the official code does on
its reference path: modulation by scaling activations, FIR filters as depthwise convolutions, one
generator forward for each player, channels_last. Ours runs one step of `fit` with everything that
it does besides: the average of the weights, accuracies, the finiteness check.

    python benchmarks/stylegan2_step.py plain --batch 16 --steps 2
    python benchmarks/stylegan2_step.py r1
    python benchmarks/stylegan2_step.py path

Measured on 2 CPU cores, images/s, ours and PyTorch: plain 25.5 and 14.1, R1 16.2 and 8.0, path
length 18.0 and 10.3 (3 rounds of 2 steps).
"""

import math
import os
import sys
import time
from pathlib import Path

import numpy as np

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.alternate import Measure, compiled, main

PHASES = ("plain", "r1", "path")
SIZE, W_DIM, MAPPING_LAYERS, CHANNEL_BASE, CHANNEL_MAX = 64, 128, 4, 4096, 128


def photos(count: int) -> np.ndarray:
    """Made-up images, uint8 (count, SIZE, SIZE, 3)."""
    return np.random.RandomState(0).randint(0, 256, (count, SIZE, SIZE, 3), "uint8")


def ours(batch: int, steps: int, precision: str) -> Measure:
    os.environ["KERAS_BACKEND"] = "tensorflow"
    import tensorflow as tf

    import facegen_keras as fg
    from facegen_keras.models.stylegan2.phase import Phase

    model = fg.StyleGAN2(
        resolution=SIZE,
        latent_dim=W_DIM,
        w_dim=W_DIM,
        mapping_layers=MAPPING_LAYERS,
        channel_base=CHANNEL_BASE,
        channel_max=CHANNEL_MAX,
        precision=precision,
    )
    model.compile()
    model.batch_size = batch
    due = os.environ["PHASE"]
    phase = Phase(SIZE, path_length=due == "path", r1=due == "r1")
    step = tf.function(model.train_step_of(phase))
    images = [tf.constant(part) for part in np.split(photos(batch * steps), steps)]

    def measure() -> float:
        start = time.perf_counter()
        for part in images:
            step(part)
        return batch * steps / (time.perf_counter() - start)

    return measure


def pytorch(batch: int, steps: int, precision: str) -> Measure:
    import torch
    import torch.nn.functional as F

    phase = os.environ["PHASE"]
    channels = {2**k: min(CHANNEL_BASE // 2**k, CHANNEL_MAX) for k in range(2, 7)}
    low = torch.autocast("cpu", dtype=torch.bfloat16, enabled=precision == "bfloat16")
    g, d = torch.nn.ParameterDict(), torch.nn.ParameterDict()
    row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 8
    fir = torch.outer(row, row)[None, None]

    def weight(to: torch.nn.ParameterDict, name: str, *shape: int) -> None:
        to[name] = torch.randn(shape)
        to[name + "_bias"] = torch.zeros(shape[0])

    def filtered(x: torch.Tensor, pad: tuple, stride: int = 1, gain: float = 1) -> torch.Tensor:
        count = x.shape[1]
        return F.conv2d(
            F.pad(x, pad), (fir * gain).expand(count, 1, 4, 4), stride=stride, groups=count
        )

    def doubled(x: torch.Tensor) -> torch.Tensor:
        n, c, h, w = x.shape
        zeros = F.pad(x.reshape(n, c, h, 1, w, 1), (0, 1, 0, 0, 0, 1))
        return filtered(zeros.reshape(n, c, 2 * h, 2 * w), (2, 1, 2, 1), gain=4)

    def lrelu(x: torch.Tensor) -> torch.Tensor:
        return F.leaky_relu(x, 0.2) * math.sqrt(2)

    layers, before = [], channels[4]
    for i in range(MAPPING_LAYERS):
        weight(g, f"fc{i}", W_DIM, W_DIM)
    g["const"] = torch.randn(channels[4], 4, 4)
    for size, count in channels.items():
        for up in (2, 1) if size > 4 else (1,):
            name = f"b{size}_{up}"
            layers.append((name, up, size))
            weight(g, name, count, before, 3, 3)
            weight(g, name + "_affine", before, W_DIM)
            g[name + "_noise"] = torch.zeros([])
            before = count
        weight(g, f"rgb{size}", 3, count, 1, 1)
        weight(g, f"rgb{size}_affine", count, W_DIM)
    weight(d, "rgb", channels[SIZE], 3, 1, 1)
    for size in sorted(channels, reverse=True)[:-1]:
        weight(d, f"b{size}_0", channels[size], channels[size], 3, 3)
        weight(d, f"b{size}_1", channels[size // 2], channels[size], 3, 3)
        weight(d, f"b{size}_skip", channels[size // 2], channels[size], 1, 1)
    weight(d, "conv", channels[4], channels[4] + 1, 3, 3)
    weight(d, "fc", channels[4], channels[4] * 16)
    weight(d, "out", 1, channels[4])

    def dense(p: torch.nn.ParameterDict, name: str, x: torch.Tensor) -> torch.Tensor:
        return F.linear(x, p[name] / math.sqrt(p[name].shape[1]), p[name + "_bias"])

    def styles() -> torch.Tensor:
        z = torch.randn(2 * batch, W_DIM)
        for i in range(MAPPING_LAYERS):
            z = lrelu(dense(g, f"fc{i}", z))
        mixed = torch.rand(batch, 1, 1) < 0.9
        cut = torch.randint(1, len(layers) + 1, (batch, 1, 1))
        index = torch.arange(len(layers) + 1).reshape(1, -1, 1)
        w = z[:batch, None], z[batch:, None]
        return torch.where(mixed & (index >= cut), w[1], w[0])

    def synthesis(w: torch.Tensor) -> torch.Tensor:
        x = g["const"].expand(len(w), -1, -1, -1).contiguous(memory_format=torch.channels_last)
        image = None
        for i, (name, up, size) in enumerate(layers):
            s, k = dense(g, name + "_affine", w[:, i]) + 1, g[name]
            scale = ((s**2) @ (k**2).sum((2, 3)).T + 1e-8).rsqrt()
            x = x * s[:, :, None, None]
            if up == 2:
                x = F.conv_transpose2d(x, k.transpose(0, 1), stride=2)
                x = filtered(x, (1, 1, 1, 1), gain=4)
            else:
                x = F.conv2d(x, k, padding=1)
            noise = torch.randn(len(w), 1, size, size) * g[name + "_noise"]
            x = lrelu(x * scale[:, :, None, None] + noise + g[name + "_bias"][:, None, None])
            if up == 1:
                k = g[f"rgb{size}"]
                s = (dense(g, f"rgb{size}_affine", w[:, i + 1]) + 1) / math.sqrt(k.shape[1])
                rgb = F.conv2d(x * s[:, :, None, None], k, g[f"rgb{size}_bias"])
                image = rgb if image is None else doubled(image) + rgb
        return image

    def conv(name: str, x: torch.Tensor, **options: int) -> torch.Tensor:
        k = d[name]
        return F.conv2d(x, k / math.sqrt(k[0].numel()), d[name + "_bias"], **options)

    def judge(x: torch.Tensor) -> torch.Tensor:
        with low:
            x = lrelu(conv("rgb", x))
            for size in sorted(channels, reverse=True)[:-1]:
                skip = conv(f"b{size}_skip", filtered(x, (1, 1, 1, 1), stride=2))
                x = lrelu(conv(f"b{size}_0", x, padding=1))
                x = lrelu(conv(f"b{size}_1", filtered(x, (2, 2, 2, 2)), stride=2))
                x = (x + skip) * math.sqrt(0.5)
            groups = x.reshape(4, -1, *x.shape[1:])
            deviation = (groups.var(0, unbiased=False) + 1e-8).sqrt().mean((1, 2, 3))
            maps = deviation.reshape(-1, 1, 1, 1).repeat(4, 1, 4, 4)
            x = lrelu(conv("conv", torch.cat([x, maps], 1), padding=1))
            return dense(d, "out", lrelu(dense(d, "fc", x.flatten(1)))).float()

    if phase == "plain":  # torch.compile does not differentiate twice
        synthesis, judge = compiled(synthesis), compiled(judge)

    adam = {"lr": 0.002, "betas": (0.0, 0.99)}
    optimizer_g = torch.optim.Adam(g.parameters(), **adam)
    optimizer_d = torch.optim.Adam(d.parameters(), **adam)
    average = {name: value.detach().clone() for name, value in g.items()}

    def apply(optimizer: torch.optim.Optimizer, loss: torch.Tensor) -> None:
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    def step(uint8: torch.Tensor) -> None:
        real = uint8.permute(0, 3, 1, 2).float().div(127.5).sub(1)
        with low:
            fake = synthesis(styles())
        apply(optimizer_g, F.softplus(-judge(fake)).mean())
        if phase == "path":
            with low:
                w = styles()[: batch // 2]
                fake = synthesis(w)
            direction = torch.randn_like(fake) / SIZE
            (slope,) = torch.autograd.grad((fake * direction).sum(), w, create_graph=True)
            lengths = (slope.square().sum(2).mean(1) + 1e-8).sqrt()
            apply(optimizer_g, 8 * (lengths - lengths.mean().detach()).square().mean())
        with torch.no_grad(), low:
            fake = synthesis(styles())
        apply(optimizer_d, F.softplus(judge(fake)).mean() + F.softplus(-judge(real)).mean())
        if phase == "r1":
            real.requires_grad_(True)
            (slope,) = torch.autograd.grad(judge(real).sum(), real, create_graph=True)
            apply(optimizer_d, slope.square().sum((1, 2, 3)).mean())
        with torch.no_grad():
            for name, value in g.items():
                average[name].lerp_(value, 0.001)

    parts = torch.from_numpy(photos(batch * steps)).split(batch)

    def measure() -> float:
        start = time.perf_counter()
        for part in parts:
            step(part)
        return batch * steps / (time.perf_counter() - start)

    return measure


if __name__ == "__main__":
    if len(sys.argv) > 1 and sys.argv[1] in PHASES:  # workers inherit it
        os.environ["PHASE"] = sys.argv.pop(1)
    os.environ.setdefault("PHASE", "plain")
    if "--worker" not in sys.argv:
        print(f"{os.environ['PHASE']}, {SIZE}x{SIZE}, at most {CHANNEL_MAX} channels", flush=True)
    main({"ours": ours, "pytorch": pytorch}, batch=16, steps=2, doc=__doc__)
