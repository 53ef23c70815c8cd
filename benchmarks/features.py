"""Inception features per second: this package against pytorch-fid's network in plain PyTorch.

    python benchmarks/features.py [--images 100] [--rounds 3]

Both networks get the same random weights and the same images (64x64, resized to 299 by
pytorch-fid's protocol) and take turns in one process, so that whatever else the machine does hits
both; processor time is printed beside wall time for machines that do more than this. The answers
are compared as well: a quick wrong network is no use. Needs torch; `KERAS_BACKEND` chooses the
backend of this package's side (TensorFlow unless set).
"""

import argparse
import statistics
import time

import numpy as np
import torch
import torch.nn.functional as F
from torch import nn

from facegen_keras.metrics import InceptionFeatures


class Conv(nn.Module):
    """Convolution, BatchNorm, ReLU: the unit of the network."""

    def __init__(self, ins: int, outs: int, size, stride=1, padding=0):
        super().__init__()
        self.conv = nn.Conv2d(ins, outs, size, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(outs, eps=1e-3)

    def forward(self, x):
        return F.relu(self.bn(self.conv(x)), inplace=True)


def average(x):
    return F.avg_pool2d(x, 3, 1, 1, count_include_pad=False)


class A(nn.Module):
    """Inception block A: 1x1, 5x5 and double 3x3 convolutions, and pooling; the size stays."""

    def __init__(self, ins: int, pooled: int):
        super().__init__()
        self.branch1x1 = Conv(ins, 64, 1)
        self.branch5x5_1, self.branch5x5_2 = Conv(ins, 48, 1), Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(ins, 64, 1), Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.branch_pool = Conv(ins, pooled, 1)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        five = self.branch5x5_2(self.branch5x5_1(x))
        return torch.cat([self.branch1x1(x), five, double, self.branch_pool(average(x))], 1)


class B(nn.Module):
    """Grid reduction after the blocks A: half the height and width."""

    def __init__(self, ins: int):
        super().__init__()
        self.branch3x3 = Conv(ins, 384, 3, 2)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(ins, 64, 1), Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, 2)

    def forward(self, x):
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, F.max_pool2d(x, 3, 2)], 1)


class C(nn.Module):
    """Inception block C: convolutions of 7x7, each as 1x7 and 7x1, of width `w`."""

    def __init__(self, ins: int, w: int):
        super().__init__()
        row, column = {"size": (1, 7), "padding": (0, 3)}, {"size": (7, 1), "padding": (3, 0)}
        self.branch1x1 = Conv(ins, 192, 1)
        self.branch7x7_1, self.branch7x7_2 = Conv(ins, w, 1), Conv(w, w, **row)
        self.branch7x7_3 = Conv(w, 192, **column)
        self.branch7x7dbl_1, self.branch7x7dbl_2 = Conv(ins, w, 1), Conv(w, w, **column)
        self.branch7x7dbl_3, self.branch7x7dbl_4 = Conv(w, w, **row), Conv(w, w, **column)
        self.branch7x7dbl_5 = Conv(w, 192, **row)
        self.branch_pool = Conv(ins, 192, 1)

    def forward(self, x):
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(average(x))], 1)


class D(nn.Module):
    """Grid reduction after the blocks C: half the height and width."""

    def __init__(self, ins: int):
        super().__init__()
        self.branch3x3_1, self.branch3x3_2 = Conv(ins, 192, 1), Conv(192, 320, 3, 2)
        self.branch7x7x3_1 = Conv(ins, 192, 1)
        self.branch7x7x3_2 = Conv(192, 192, (1, 7), padding=(0, 3))
        self.branch7x7x3_3 = Conv(192, 192, (7, 1), padding=(3, 0))
        self.branch7x7x3_4 = Conv(192, 192, 3, 2)

    def forward(self, x):
        seven = self.branch7x7x3_2(self.branch7x7x3_1(x))
        seven = self.branch7x7x3_4(self.branch7x7x3_3(seven))
        three = self.branch3x3_2(self.branch3x3_1(x))
        return torch.cat([three, seven, F.max_pool2d(x, 3, 2)], 1)


class E(nn.Module):
    """Inception block E: 3x3 convolutions that end in 1x3 and 3x1 side by side."""

    def __init__(self, ins: int, pool):
        super().__init__()
        row, column = {"size": (1, 3), "padding": (0, 1)}, {"size": (3, 1), "padding": (1, 0)}
        self.branch1x1 = Conv(ins, 320, 1)
        self.branch3x3_1 = Conv(ins, 384, 1)
        self.branch3x3_2a, self.branch3x3_2b = Conv(384, 384, **row), Conv(384, 384, **column)
        self.branch3x3dbl_1, self.branch3x3dbl_2 = Conv(ins, 448, 1), Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a, self.branch3x3dbl_3b = Conv(384, 384, **row), Conv(384, 384, **column)
        self.branch_pool = Conv(ins, 192, 1)
        self.pool = pool

    def forward(self, x):
        three = self.branch3x3_1(x)
        double = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        parts = [self.branch1x1(x), self.branch3x3_2a(three), self.branch3x3_2b(three)]
        parts += [self.branch3x3dbl_3a(double), self.branch3x3dbl_3b(double)]
        return torch.cat([*parts, self.branch_pool(self.pool(x))], 1)


class PlainInception(nn.Module):
    """The network of pytorch-fid 0.3.0 (pool3), names as in its published state dict."""

    def __init__(self):
        super().__init__()
        self.Conv2d_1a_3x3, self.Conv2d_2a_3x3 = Conv(3, 32, 3, 2), Conv(32, 32, 3)
        self.Conv2d_2b_3x3, self.Conv2d_3b_1x1 = Conv(32, 64, 3, padding=1), Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.Mixed_5b, self.Mixed_5c, self.Mixed_5d = A(192, 32), A(256, 64), A(288, 64)
        self.Mixed_6a, self.Mixed_6b, self.Mixed_6c = B(288), C(768, 128), C(768, 160)
        self.Mixed_6d, self.Mixed_6e, self.Mixed_7a = C(768, 160), C(768, 192), D(768)
        self.Mixed_7b = E(1280, average)
        self.Mixed_7c = E(2048, lambda x: F.max_pool2d(x, 3, 1, 1))
        self.fc = nn.Linear(2048, 1008)

    def forward(self, x):
        x = 2 * F.interpolate(x, (299, 299), mode="bilinear", align_corners=False) - 1
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(F.max_pool2d(x, 3, 2)))
        x = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(F.max_pool2d(x, 3, 2))))
        x = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(x)))))
        return self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(x))).mean((2, 3))


def plain_features(network: nn.Module, images: np.ndarray, batch: int = 50) -> np.ndarray:
    """As pytorch-fid runs it: batches of 50, channels first, BatchNorm as it was trained."""
    parts = []
    with torch.no_grad():
        for start in range(0, len(images), batch):
            x = torch.from_numpy(images[start : start + batch].transpose(0, 3, 1, 2).copy())
            parts.append(network(x.float() / 255).numpy())
    return np.concatenate(parts)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=int, default=200)
    parser.add_argument("--rounds", type=int, default=3)
    args = parser.parse_args()

    torch.manual_seed(0)
    plain = PlainInception().eval()
    with torch.no_grad():
        for module in plain.modules():
            if isinstance(module, nn.Conv2d):  # keeps the activations of the deep network alive
                nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
    extractor = InceptionFeatures(
        {name: tensor.numpy() for name, tensor in plain.state_dict().items()}, resize="legacy"
    )
    images = np.random.default_rng(0).integers(0, 256, (args.images, 64, 64, 3), dtype=np.uint8)

    a, b = plain_features(plain, images[:50]), extractor(images[:50])  # also the warm-up
    print(f"largest difference relative to the largest feature: {abs(a - b).max() / a.max():.1e}")
    rates: dict[str, list[float]] = {"pytorch-fid's network": [], "facegen_keras": []}
    work: dict[str, list[float]] = {name: [] for name in rates}
    for _ in range(args.rounds):
        for name, run in (
            ("pytorch-fid's network", lambda: plain_features(plain, images)),
            ("facegen_keras", lambda: extractor(images)),
        ):
            start, used = time.perf_counter(), time.process_time()
            run()
            rates[name].append(len(images) / (time.perf_counter() - start))
            work[name].append(1000 * (time.process_time() - used) / len(images))
    for name, values in rates.items():
        cost = statistics.median(work[name])
        rounds = [round(v, 1) for v in values]
        print(f"{name}: {statistics.median(values):.1f} images/s {rounds}, {cost:.0f} ms CPU each")
    ratios = [ours / theirs for theirs, ours in zip(*rates.values(), strict=True)]
    print(f"ratio: {statistics.median(ratios):.2f} {[round(r, 2) for r in ratios]}")
    theirs, ours = (statistics.median(values) for values in work.values())
    print(f"ratio of processor time: {theirs / ours:.2f}")


if __name__ == "__main__":
    main()
