"""The fast form in PyTorch, with the same mathematics: a yardstick for benchmarks/speed.py alone.

Generator, losses, gradient clipping, averaged weights and Adam are those of srgan/models and
srgan/training, written as a PyTorch user would: channels last, autocast, fused Adam, foreach.
"""

import contextlib
import copy

import torch
import torch.nn.functional as F
from torch import nn

BLOCKS = {1: 4, 4: 8}  # residual blocks by scale
CONTENT, ADVERSARIAL, TEXTURE, CLIP, AVERAGE = 0.015, 3e-4, 0.01, 0.05, 0.998
WINDOW = 16  # pixels, of the texture loss
FLOOR = (2 / 2047.5) ** 2 * 36  # 36: sum of the squared taper


class Generator(nn.Module):
    def __init__(self, scale: int, maps: int = 64):
        super().__init__()
        self.scale = scale
        head = {"kernel_size": 4, "stride": 2, "padding": 1} if scale == 1 else {}
        self.head = nn.Conv2d(1, maps, **(head or {"kernel_size": 3, "padding": 1}))
        self.first = nn.ModuleList(
            nn.Conv2d(maps, maps, 3, padding=1) for _ in range(BLOCKS[scale])
        )
        self.second = copy.deepcopy(self.first)
        self.tail = nn.Conv2d(maps, maps, 3, padding=1)
        self.up = nn.Conv2d(maps, 4 * maps, 3, padding=1) if scale == 4 else None
        self.correction = nn.Conv2d(maps, 4, 3, padding=1)

    def forward(self, low):
        x = head = self.head(4 * low)
        for first, second in zip(self.first, self.second, strict=True):
            x = x + second(F.silu(first(x)))
        x = head + self.tail(x)
        if self.up is not None:
            x = F.leaky_relu(F.pixel_shuffle(self.up(x), 2), 0.1)
        x = F.pixel_shuffle(self.correction(x), 2).float()
        base = low
        if self.scale > 1:
            base = F.interpolate(low, scale_factor=4.0, mode="bicubic", align_corners=False)
        return base + 0.1 * x


class Discriminator(nn.Module):
    """The layers of the paper with half of the maps, of a patch and its detail."""

    def __init__(self, size: int = 64):
        super().__init__()
        modules, before = [], 2
        for i, maps in enumerate((32, 32, 64, 64, 128, 128, 256, 256)):
            modules.append(nn.Conv2d(before, maps, 3, 1 + i % 2, 1, bias=i == 0))
            modules += [nn.BatchNorm2d(maps)] * (i > 0) + [nn.LeakyReLU(0.2, inplace=True)]
            before = maps
        dense = nn.Linear(256 * (size // 16) ** 2, 512), nn.LeakyReLU(0.2), nn.Linear(512, 1)
        self.net = nn.Sequential(*modules, nn.Flatten(), *dense)
        taps = torch.exp(-0.5 * (torch.arange(-4.0, 5.0) / 1.5) ** 2)
        self.register_buffer("taps", taps / taps.sum())

    def forward(self, x):
        mean = F.pad(x, (4, 4, 4, 4), "reflect")
        mean = F.conv2d(mean, self.taps.view(1, 1, 9, 1))
        mean = F.conv2d(mean, self.taps.view(1, 1, 1, 9))
        return self.net(torch.cat((x, torch.tanh(20 * (x - mean))), 1))


def spectra(images, rings):
    """Logarithms of the power of windows, in rings of equal frequency."""
    n = (images.shape[-1] - WINDOW + 1) // WINDOW
    windows = images[:, 0, : n * WINDOW, : n * WINDOW].unfold(1, WINDOW, WINDOW)
    windows = windows.unfold(2, WINDOW, WINDOW).reshape(-1, WINDOW, WINDOW)
    taper = torch.hann_window(WINDOW)
    windows = (windows - windows.mean((1, 2), keepdim=True)) * taper[:, None] * taper
    power = torch.fft.rfft2(windows).abs().square().flatten(1)
    return torch.log(power @ rings + FLOOR)


def ring_means():
    """(16 * 9, 8): the mean over a ring of one frequency."""
    rows, columns = torch.fft.fftfreq(WINDOW), torch.fft.rfftfreq(WINDOW)
    radius = torch.round(WINDOW * torch.hypot(rows[:, None], columns)).flatten()
    rings = (radius[:, None] == torch.arange(1, WINDOW // 2 + 1)).float()
    return rings / rings.sum(0)


class Features(nn.Module):
    """VGG19 to conv2_2 with random weights, frozen; grey in [-1, 1], repeated to three channels."""

    def __init__(self):
        super().__init__()
        modules, before = [], 3
        for stage, (maps, count) in enumerate(((64, 2), (128, 2))):
            modules += [nn.MaxPool2d(2)] * (stage > 0)
            for _ in range(count):
                modules += [nn.Conv2d(before, maps, 3, padding=1), nn.ReLU(inplace=True)]
                before = maps
        self.net = nn.Sequential(*modules).requires_grad_(False).eval()

    def forward(self, x):
        return self.net((x + 1).expand(-1, 3, -1, -1) * 127.5 - 115.0)


def build(stage: str, a, compiled: bool):
    """A function that makes one step, and its images. a: batch, precision, scale, side."""
    torch.manual_seed(0)
    wrap = (lambda m: torch.compile(m, dynamic=False)) if compiled else (lambda m: m)
    bfloat16 = a.precision == "bfloat16"

    def amp():
        return torch.autocast("cpu", torch.bfloat16) if bfloat16 else contextlib.nullcontext()

    plain = Generator(a.scale).to(memory_format=torch.channels_last)
    network = wrap(plain)
    if stage == "infer":
        x = torch.rand(1, 1, a.side, a.side) * 2 - 1

        def infer():
            with torch.inference_mode(), amp():
                return network(x).float().mean().item()

        return infer, 1

    optimizer = torch.optim.Adam(plain.parameters(), lr=1e-4, betas=(0.9, 0.99), fused=True)
    low = torch.rand(a.batch, 1, 64 // a.scale, 64 // a.scale) * 2 - 1
    normal = torch.rand(a.batch, 1, 64, 64) * 2 - 1
    weights = list(plain.parameters())
    averaged = [w.detach().clone() for w in weights]

    def update(loss, optimizer, clip=None):
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(weights, clip, foreach=True)
        optimizer.step()

    def average():
        torch._foreach_lerp_(averaged, [w.detach() for w in weights], 1 - AVERAGE)

    def pretrain():
        optimizer.zero_grad(set_to_none=True)
        with amp():
            output = network(low)
        loss = F.l1_loss(output, normal)
        update(loss, optimizer, CLIP)
        average()
        return loss.item()

    if stage == "pretrain":
        return pretrain, a.batch
    critic_plain = Discriminator().to(memory_format=torch.channels_last)
    critic, features = (
        wrap(m) for m in (critic_plain, Features().to(memory_format=torch.channels_last))
    )
    critic_optimizer = torch.optim.Adam(
        critic_plain.parameters(), lr=2e-4, betas=(0.9, 0.99), fused=True
    )

    rings = ring_means()

    def gan():
        with amp():
            output = network(low)
        critic_plain.requires_grad_(True)
        critic_optimizer.zero_grad(set_to_none=True)
        with amp():
            real, fake = critic(normal), critic(output.detach())
        update((F.softplus(-real.float()) + F.softplus(fake.float())).mean(), critic_optimizer)
        critic_plain.requires_grad_(False)
        optimizer.zero_grad(set_to_none=True)
        with amp():
            with torch.no_grad():
                wanted = features(normal)
            content = F.mse_loss(features(output).float(), wanted.float())
            adversarial = F.softplus(-critic(output).float()).mean()
        texture = F.l1_loss(spectra(output, rings), spectra(normal, rings))
        loss = F.l1_loss(output, normal) + CONTENT * content
        update(loss + ADVERSARIAL * adversarial + TEXTURE * texture, optimizer, CLIP)
        average()
        return loss.item()

    return gan, a.batch
