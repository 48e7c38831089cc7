"""A network as an ONNX file, made by tf2onnx and run by ONNX Runtime."""

import importlib.util
import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np

from srgan.system.errors import UserError

FILE = "model.onnx"
PACKAGES = ("tf2onnx", "onnx", "onnxruntime")
OPSET = 17  # of 2022: it has all that a generator needs, and older runtimes know it


def check_installed() -> None:
    """Raises UserError where a package that this needs is missing."""
    missing = [name for name in PACKAGES if importlib.util.find_spec(name) is None]
    if missing:
        raise UserError(
            f"--format onnx needs {', '.join(missing)}: pip install -r requirements-onnx.txt, or "
            f"pip install .[onnx]"
        )


def write(folder: Path, network, scale: int) -> None:
    """model.onnx, in a folder that is there. network: of models.generator. Raises OSError.

    The enlargements of `network` are DepthToSpace from here on.
    """
    import onnx
    import tf2onnx

    from srgan.export.hu_network import SIGNATURE, HuNetwork
    from srgan.models.layers import as_depth_to_space

    logging.getLogger("tf2onnx").setLevel(logging.ERROR)
    as_depth_to_space(network)
    module = HuNetwork(network)
    model, _ = tf2onnx.convert.from_function(module.named, input_signature=SIGNATURE, opset=OPSET)
    _name_sides(model.graph.input[0], ("batch", "rows", "columns"))
    larger = ("rows", "columns") if scale == 1 else (f"{scale}*rows", f"{scale}*columns")
    _name_sides(model.graph.output[0], ("batch", *larger))
    onnx.checker.check_model(model, full_check=True)
    (folder / FILE).write_bytes(model.SerializeToString())


def _name_sides(tensor, names: tuple[str, ...]) -> None:
    for side, name in zip(tensor.type.tensor_type.shape.dim, names, strict=True):
        side.dim_param = name


def load(folder: Path) -> Callable[[np.ndarray], np.ndarray]:
    """A function of (batch, rows, columns) float32 HU. Raises OSError."""
    import onnxruntime

    from srgan.export.hu_network import INPUT, OUTPUT

    content = (folder / FILE).read_bytes()
    session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])
    return lambda hu: session.run([OUTPUT], {INPUT: hu})[0]
