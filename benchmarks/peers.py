"""Our networks beside simple methods and other networks: a table and a picture, on test patients.

python benchmarks/peers.py --torch PYTHON --minutes 20 --output OUT --data DIR --split FILE \\
    --checkpoint fast=checkpoint paper=checkpoint-paper shipped=shipped

Image noise, lambda 1700, sigma 0.005, scale 4. One run of ../shared/peers/quality_torch.py, with
a Python that has PyTorch, makes the low dose of every whole test slice: all methods get these, and
are measured by the program's own metrics. A denoiser in the form of RED-CNN gets the same minutes
and pairs. Non-local means and BM3D are tuned on three slices of validation patients. The networks
of a checkpoint folder (or "shipped") are tested as they are and as a mean of eight passes ("x8");
patients that any of them has seen are left out. Means over a patient's slices, then over patients.

OUT keeps what took long (torch.npz, red_cnn.npz, outputs/): the same command again takes minutes.
It gets peers.json (every number, also by patient), table.md, synthetic.png (of the README), and
pictures of each patient's middle slice. All but table.md and synthetic.png show or name
patients: keep them to yourself.
"""

import json
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common, peers_methods, peers_tables, result_picture, torch_peer
from benchmarks.torch_peer import CHEST, DISC, Slices
from srgan import settings as all_settings
from srgan.commands.held_out import held_out
from srgan.commands.open_store import open_store
from srgan.dataset.store import Store
from srgan.evaluation import disc_phantom
from srgan.evaluation.study import NORMAL_DOSE, Row, Study
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.levels import Levels
from srgan.metrics import registry, ttf
from srgan.metrics.slice_output import Output, Reference
from srgan.models import tensorflow_setup
from srgan.settings import Settings, degradation_of
from srgan.system import log
from srgan.system.errors import UserError
from srgan.system.files import write_json
from srgan.system.processes import cpus
from srgan.system.progress import progress
from srgan.training.checkpoint_models import Trained

LAMBDA, SIGMA, SCALE = 1700.0, 0.005, 4
TORCH = "PyTorch peer"
METRICS = tuple(m for m in registry.METRICS if m.key != "sfrc_share")  # which takes longest

Outputs = dict[str, np.ndarray]  # by method: (n, 4h, 4w) HU, of all slices


def main() -> None:
    parser = common.parser(__doc__)
    shared = torch_peer.PEER.parents[1]
    parser.add_argument("--torch", required=True, help="a Python that has PyTorch")
    parser.add_argument("--minutes", type=float, default=20.0, help="of either training")
    parser.add_argument("--checkpoint", nargs="+", metavar="NAME=DIR", default=["shipped=shipped"])
    parser.add_argument("--output", type=Path, default=Path("peers"))
    parser.add_argument("--data", type=Path, default=shared / "ct")
    parser.add_argument("--split", type=Path, help="DATA/split.csv unless given")
    parser.add_argument("--peer", type=Path, default=torch_peer.PEER)
    parser.add_argument("--show", nargs="+", metavar="ROW", help="of ours, in pictures")
    given = parser.parse_args()
    log.set_up()
    try:
        compare(given)
    except UserError as error:
        sys.exit(str(error))


def compare(given) -> None:
    folder, split = given.output, given.split or given.data / "split.csv"
    _same_as_before(folder, given, split)
    policy = tensorflow_setup.start("auto")
    settings = _settings(given.data, split, folder / "store")
    checkpoints = peers_methods.loaded(given.checkpoint, SCALE)
    shown = peers_methods.shown(checkpoints, given.show)
    store = open_store(settings)
    chosen = held_out(checkpoints, store, settings)
    pixel_mm = float(np.median([r.spacing_mm for r in store.records if r.role == "test"]))
    if not (folder / "torch.npz").exists():
        precision = "bfloat16" if "bfloat16" in policy else "float32"
        asked = ["--precision", precision, "--dose", LAMBDA, "--sigma", SIGMA]
        torch_peer.run(
            folder, given.data, split, given.torch, given.peer, given.minutes, pixel_mm, asked
        )
    peers_methods.train_red_cnn(folder, store, settings, given.minutes)

    slices = torch_peer.load(folder)
    outputs, ours, tuned = _outputs(folder, slices, store, settings, checkpoints)
    spacing_of = {_pixels(store.hu(i)): store.records[i].spacing_mm for i in chosen}
    measured = measure(outputs, slices, spacing_of, degradation_of(settings))
    measured = replace(measured, discs=_discs(outputs, slices, pixel_mm))
    _write(folder, measured, ours, {"tuned": tuned, "minutes": given.minutes})
    images = {name: outputs[name] for name in ("bicubic", TORCH, *shown)}
    _pictures(folder, images, slices, spacing_of)


def _outputs(
    folder: Path, slices: Slices, store: Store, settings: Settings, checkpoints: dict[str, Trained]
) -> tuple[Outputs, list[str], dict]:
    """What every method makes of the slices, which of them are ours, and what was tuned."""
    tensorflow_setup.start("float32")  # for exact metrics
    made = partial(peers_methods.outputs, folder / "outputs", low_hu=slices.low_hu)
    classical, tuned = peers_methods.classical(store, settings)
    outputs = {name: made(name, method) for name, method in classical.items()}
    outputs[TORCH] = slices.output_hu
    ours = peers_methods.networks(checkpoints)
    trained = peers_methods.trained_red_cnn(folder, SCALE) | ours
    outputs |= {name: made(name, method) for name, method in trained.items()}
    return outputs, list(ours), tuned


def _settings(data: Path, split: Path, store_dir: Path) -> Settings:
    noise = {"noise_lambda": Levels((LAMBDA,)), "noise_sigma": Levels((SIGMA,)), "scale": SCALE}
    return all_settings.make({"data": data, "split": split, "store_dir": store_dir, **noise})


def _same_as_before(folder: Path, given, split: Path) -> None:
    """Note what the trainings of a folder were made with. Raises UserError for other ones."""
    for path in (split, given.peer):
        if not path.is_file():
            raise UserError(f"there is no file {path}")
    asked = {"data": str(given.data.resolve()), "split": split.read_text()}
    asked |= {"minutes": given.minutes, "peer": given.peer.read_text()}
    path = folder / "asked.json"
    if path.exists() and json.loads(path.read_text()) != asked:
        raise UserError(
            f"{folder} holds trainings with other --minutes, --data, --split or --peer: name "
            f"another --output"
        )
    folder.mkdir(parents=True, exist_ok=True)
    write_json(path, asked)


def _write(folder: Path, measured: Study, ours: list[str], about: dict) -> None:
    """peers.json, table.md and the tables on the terminal."""
    result = about | peers_tables.result(measured, TORCH, ours)
    result["noise"] = {"lambda": LAMBDA, "sigma": SIGMA, "scale": SCALE}
    result["peer_scores"] = peers_tables.beside_own_scores(folder, measured, TORCH)
    write_json(folder / "peers.json", result)
    (folder / "table.md").write_text("\n".join(peers_tables.markdown(measured)) + "\n")
    print("\n".join(peers_tables.text(measured, result)))


def _pixels(hu: np.ndarray) -> bytes:
    """What a slice is known by: in the peer's files there is no UID."""
    return np.rint(np.clip(hu, HU_MIN, HU_MAX)).astype(np.int16).tobytes()


def measure(
    outputs: Outputs,
    slices: Slices,
    spacing_of: dict[bytes, tuple[float, float]],
    degradation: Degradation,
) -> Study:
    """Every metric of every method on the slices whose spacing is known: those held out."""
    rows, normal_dose = [], {}
    numbers = [k for k, hu in enumerate(slices.normal_hu) if _pixels(hu) in spacing_of]
    for k in progress(numbers, len(numbers), "slices"):
        low, normal = slices.low_hu[k], slices.normal_hu[k]
        noise_sd_hu = degradation.noise.expected_sd_hu(low_dose=low, scale=SCALE)
        reference = Reference.of(normal, low, noise_sd_hu, SCALE, spacing_of[_pixels(normal)])
        place = (str(slices.patient[k]), k)
        normal_dose[place] = registry.measure_normal_dose(reference, METRICS)

        def measured(image: np.ndarray, reference: Reference = reference) -> dict:
            return registry.measure_slice(Output.of_slice(image, reference, WINDOWS), METRICS)

        images = [made[k] for made in outputs.values()]
        with ThreadPoolExecutor(cpus()) as pool:
            found = pool.map(measured, images)
            rows += [
                Row(*place, "whole", (0, 0), n, m) for n, m in zip(outputs, found, strict=True)
            ]
    return Study(tuple(outputs), tuple(rows), normal_dose)


def _discs(outputs: Outputs, slices: Slices, pixel_mm: float) -> ttf.Discs:
    """How sharp each method leaves the disc: as disc_phantom.discs_of, on the peer's low doses."""
    numbers = slices.of(DISC)
    start = (disc_phantom.SIZE - disc_phantom.PART) // 2
    part = slice(start, start + disc_phantom.PART)
    images = {NORMAL_DOSE: slices.normal_hu[numbers[0]]}
    images |= {name: made[numbers].mean(0, dtype=np.float64) for name, made in outputs.items()}
    centre_px = tuple(at - start for at in disc_phantom.CENTRE_PX)
    where = {"centre_px": centre_px, "radius_px": disc_phantom.RADIUS_PX, "pixel_mm": pixel_mm}
    found = {name: ttf.disc_ttf(hu[part, part], **where) for name, hu in images.items()}
    noise_hu = float(np.std(slices.low_hu[numbers], 0, ddof=1, dtype=np.float64).mean())
    return ttf.Discs(found, disc_phantom.CONTRAST_HU, noise_hu, len(numbers), pixel_mm)


def _pictures(
    folder: Path, outputs: Outputs, slices: Slices, spacing_of: dict[bytes, tuple]
) -> None:
    """Of the synthetic chest, and of each tested patient's middle slice in two windows."""

    def images_of(k: int) -> dict[str, np.ndarray]:
        both = {"normal dose": slices.normal_hu[k], "low dose": slices.low_hu[k]}
        return both | {name: made[k] for name, made in outputs.items()}

    result_picture.draw(folder / "synthetic.png", images_of(slices.of(CHEST)[0]))
    tested = [k for k, hu in enumerate(slices.normal_hu) if _pixels(hu) in spacing_of]
    for patient in sorted({slices.patient[k] for k in tested}):
        own = [k for k in tested if slices.patient[k] == patient]
        images = images_of(own[len(own) // 2])
        for window in ("lung", "mediastinum"):
            result_picture.draw(folder / f"{patient}-{window}.png", images, window)


if __name__ == "__main__":
    main()
