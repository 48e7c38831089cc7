"""Our training steps and our inference, one block at a time; benchmarks/speed.py asks for them.

python benchmarks/our_steps.py PRECISION    (requests on stdin, see benchmarks/turns.py)

Random images and random VGG19 weights: speed does not depend on the values.
"""

import math
import re
import sys
import tempfile
import time
from collections import Counter, defaultdict
from collections.abc import Callable
from pathlib import Path

import numpy as np

from benchmarks import turns

CONTENT_LOSS = {"fast": "vgg22", "paper": "vgg54"}  # the default, and that of the yardstick
OPERATION = re.compile(r"[\w/.\-]+:\w+$")  # "paper/out/Conv2D:_MklNativeConv2D"


def step_of(form: str, stage: str, scale: int = 4, batch: int = 16, side: int = 128) -> Callable:
    """A function that makes one step and waits for its result. Start TensorFlow first.

    stage: pretrain, gan, or infer, of a slice of `side` x `side` pixels.
    """
    import tensorflow as tf

    from srgan.evaluation import baselines
    from srgan.models import generator
    from srgan.models.vgg_weights import VggWeights
    from srgan.settings import Settings
    from srgan.training import setup

    rng = np.random.default_rng(0)
    if stage == "infer":
        method = baselines.network(generator.build(form, scale))
        low_hu = rng.uniform(-1000, 100, (side, side)).astype(np.float32)
        return lambda: method(low_hu)
    settings = Settings(
        generator=form, scale=scale, batch_size=batch, crop=64, content_loss=CONTENT_LOSS[form]
    )
    small = settings.crop // scale
    low, normal = (
        rng.uniform(-1, 1, (batch, n, n, 1)).astype(np.float32) for n in (small, settings.crop)
    )
    trainer = setup.trainer_of(
        settings, VggWeights("random"), lambda: (low, normal), stage == "gan"
    )
    update = trainer.gan_step if stage == "gan" else trainer.pretrain_step
    low, normal, number = tf.constant(low), tf.constant(normal), tf.constant(1000)
    return lambda: int(update(low, normal, number)["applied"])


def multiply_adds(form: str, stage: str, scale: int = 4, batch: int = 16, side: int = 128) -> float:
    """Multiply-adds of convolutions and matrix products in a step of `step_of`.

    Of every patch: the generator forward, and twice that backward (inputs, weights); in the GAN
    step also the discriminator 3 times on a normal patch and 4 times on an output (as that, and
    backward for the generator), VGG19 forward on both and backward to the output.
    """
    from srgan.models import discriminator, generator, vgg
    from srgan.models.vgg_weights import VggWeights

    network = generator.build(form, scale)
    if stage == "infer":
        return _forward(network, side)
    cost = 3 * _forward(network, 64 // scale)
    if stage == "gan":
        sample = np.zeros((1, 64, 64, 1), np.float32)
        features = vgg.build(CONTENT_LOSS[form], VggWeights("random"), sample, 0)
        cost += 7 * _forward(discriminator.build(form, 64), 64) + 3 * _forward(features, 64)
    return batch * cost


def _forward(model, side: int) -> int:
    """Multiply-adds of one image of side x side pixels."""
    import tensorflow as tf

    signature = tf.TensorSpec((1, side, side, 1), tf.float32)
    graph = tf.function(lambda x: model(x, training=False)).get_concrete_function(signature).graph
    count = 0
    for each in graph.get_operations():
        if each.type in ("Conv2D", "MatMul"):
            result, weights = each.outputs[0].shape, each.inputs[1].shape
            count += math.prod(result) * math.prod(weights) // weights[-1]
    return count


def matrix_product(precision: str, size: int = 2048) -> Callable:
    """A function that makes one product of two size x size matrices: the ceiling of a step."""
    import tensorflow as tf

    a, b = (tf.cast(tf.random.normal((size, size)), precision) for _ in range(2))
    product = tf.function(lambda: tf.reduce_sum(tf.cast(a @ b, tf.float32)[0]))
    return lambda: float(product())


def costs(step: Callable, steps: int) -> dict:
    """Milliseconds a step of each operation: {"rows": [[type, ms, where most of it is]], "ms"}."""
    import tensorflow as tf

    with tempfile.TemporaryDirectory() as folder:
        tf.profiler.experimental.start(folder)
        began = time.perf_counter()
        for _ in range(steps):
            step()
        seconds = time.perf_counter() - began
        tf.profiler.experimental.stop()
        times_ms = _operations(next(Path(folder).rglob("*.xplane.pb")))
    rows = []
    for kind, places in times_ms.items():
        place, most_ms = places.most_common(1)[0]
        total_ms = sum(places.values())
        rows.append([kind, total_ms / steps, f"{place} {100 * most_ms / total_ms:.0f} %"])
    return {"rows": sorted(rows, key=lambda row: -row[1]), "ms": 1e3 * seconds / steps}


def _operations(path: Path) -> dict[str, Counter]:
    """Milliseconds by type of operation and by layer, in a file of TensorFlow's profiler."""
    from tensorflow.tsl.profiler.protobuf import xplane_pb2

    space, times_ms = xplane_pb2.XSpace(), defaultdict(Counter)
    space.ParseFromString(path.read_bytes())
    devices = [plane for plane in space.planes if plane.name.startswith("/device:GPU")]
    for plane in devices or [p for p in space.planes if p.name == "/host:CPU"]:
        for line in plane.lines:
            for event in line.events:
                name = plane.event_metadata[event.metadata_id].name
                if OPERATION.match(name):
                    node, kind = name.rsplit(":", 1)
                    kind = kind.removeprefix("_").removeprefix("Mkl").removeprefix("Native")
                    times_ms[kind][_layer(node)] += event.duration_ps / 1e9
                elif devices:
                    times_ms[name[:60]][line.name] += event.duration_ps / 1e9
    return times_ms


def _layer(node: str) -> str:
    """gradient_tape/paper_1/block3_conv1_1/convolution/Conv2D: paper/block*_conv*."""
    scopes = ("gradient_tape", "cond", "then", "else", "functional_1", "functional")
    parts = [part for part in node.split("/")[:-1] if part not in scopes and part[0] != "_"]
    return "/".join(re.sub(r"\d+", "*", re.sub(r"_\d+$", "", part)) for part in parts[:2]) or "top"


def main() -> None:
    from srgan.models import tensorflow_setup

    policy, made = tensorflow_setup.start(sys.argv[1]), {}

    def build(warm_up: int = 3, **case) -> dict:
        made["step"] = step_of(**case)
        for _ in range(warm_up):
            made["step"]()
        return {"policy": policy}

    def build_ceiling(size: int = 2048, **case) -> dict:
        made["product"] = matrix_product(sys.argv[1], size)
        made["product"]()
        return {"products": multiply_adds(**case) / size**3}

    def block(steps: int, what: str = "step") -> dict:
        began = time.perf_counter()
        for _ in range(steps):
            made[what]()
        return {"seconds": time.perf_counter() - began}

    answers = {"build": build, "build_ceiling": build_ceiling, "block": block}
    answers["profile"] = lambda steps: costs(made["step"], steps)
    answers["memory"] = lambda: {"peak_mb": turns.peak_mb()}
    turns.serve(answers)


if __name__ == "__main__":
    main()
