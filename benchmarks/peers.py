"""Our networks beside simple methods and other networks: a table and a picture, on test patients.

python benchmarks/peers.py --torch PYTHON --minutes 20 --output OUT --data DIR --split FILE \\
    --checkpoint fast=checkpoint paper=checkpoint-paper shipped=shipped

Image noise, lambda 1700, sigma 0.005, scale 4. One run of ../shared/peers/quality_torch.py, with
a Python that has PyTorch, makes the low dose of every whole test slice: all methods get these, and
are measured by the program's own metrics. A denoiser in the form of RED-CNN gets the same minutes
and pairs. Non-local means and BM3D are tuned on three slices of validation patients. The networks
of a checkpoint folder (or "shipped") are tested as they are and as a mean of eight passes ("x8");
patients that any of them has seen are left out. Means over a patient's slices, then over patients.

OUT keeps what took long (torch.npz, red_cnn*.npz): the same command again takes minutes. It gets
peers.json (every number, also by patient), table.md, synthetic.png (README: docs/result.png) and
pictures of each patient's middle slice. All but synthetic.png show or name patients: keep them.
"""

import json
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent.parent))

import numpy as np

from benchmarks import common, peers_tables, result_picture, torch_peer
from benchmarks.denoisers import bm3d
from benchmarks.torch_peer import CHEST, DISC, Slices
from srgan import settings as all_settings
from srgan.commands.held_out import held_out
from srgan.commands.open_store import open_store
from srgan.commands.study_slices import study_slices
from srgan.commands.tested_methods import TUNED_ON
from srgan.dataset.slice_quotas import evenly_spaced
from srgan.dataset.store import Store
from srgan.evaluation import baselines, disc_phantom, study_slice
from srgan.evaluation.study import NORMAL_DOSE, Row, Study
from srgan.hounsfield import HU_MAX, HU_MIN, WINDOWS
from srgan.lowdose.degradation import Degradation
from srgan.lowdose.levels import Levels
from srgan.metrics import registry, ttf
from srgan.metrics.slice_output import Output, Reference
from srgan.models import tensorflow_setup
from srgan.resampling import bicubic
from srgan.settings import Settings, degradation_of
from srgan.system import log
from srgan.system.errors import UserError
from srgan.system.files import write_json, write_whole
from srgan.system.processes import cpus
from srgan.system.progress import progress
from srgan.training import checkpoint_models, shipped_weights
from srgan.training.checkpoint_models import Trained
from srgan.training.model_card import TITLES

LAMBDA, SIGMA, SCALE = 1700.0, 0.005, 4
TOLD_HU = (3.0, 5.0, 7.0, 10.0, 14.0, 20.0, 30.0)  # noise that BM3D is told
TORCH, RED_CNN = "PyTorch peer", "RED-CNN form"
METRICS = tuple(m for m in registry.METRICS if m.key != "sfrc_share")  # which takes longest

Method = Callable[[int], np.ndarray]  # the number of a slice to HU, or to its disc


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
    parser.add_argument("--show", nargs="+", metavar="ROW", help="in pictures, beside the peer")
    given = parser.parse_args()
    log.set_up()
    try:
        compare(given)
    except UserError as error:
        sys.exit(str(error))


def compare(given) -> None:
    folder, split = given.output, given.split or given.data / "split.csv"
    folder.mkdir(parents=True, exist_ok=True)
    _same_as_before(folder, given, split)
    policy = tensorflow_setup.start("auto")
    settings = _settings(given.data, split, folder / "store")
    checkpoints, degradation = _loaded(given.checkpoint), degradation_of(settings)
    store = open_store(settings)
    chosen = held_out(checkpoints, store, settings)
    pixel_mm = float(np.median([r.spacing_mm for r in store.records if r.role == "test"]))
    if not (folder / "torch.npz").exists():
        asked = ["--precision", "bfloat16" if "bfloat16" in policy else "float32"]
        asked += ["--dose", LAMBDA, "--sigma", SIGMA]
        torch_peer.run(
            folder, given.data, split, given.torch, given.peer, given.minutes, pixel_mm, asked
        )
    slices = torch_peer.load(folder)
    red_cnn_hu = _red_cnn(folder, slices, store, settings, given.minutes)
    tensorflow_setup.start("float32")

    classical, tuned = _classical(store, settings)
    ours = _networks(checkpoints)
    methods = {name: partial(_of_low, slices, method) for name, method in classical.items()}
    methods |= {TORCH: slices.output_hu.__getitem__, RED_CNN: red_cnn_hu.__getitem__}
    methods |= {name: partial(_of_low, slices, method) for name, method in ours.items()}
    spacing_of = {_pixels(store.hu(i)): store.records[i].spacing_mm for i in chosen}
    measured = measure(methods, slices, spacing_of, degradation)
    measured = replace(measured, discs=_discs(methods, slices, pixel_mm))
    result = peers_tables.result(measured, TORCH, list(ours))
    result |= {"tuned": tuned, "minutes": given.minutes, "noise": degradation.noise.describe()}
    result |= {"peer_scores": peers_tables.beside_own_scores(folder, measured, TORCH)}
    write_json(folder / "peers.json", result)
    (folder / "table.md").write_text("\n".join(peers_tables.markdown(measured)) + "\n")
    print("\n".join(peers_tables.text(measured, result)))
    shown = [TORCH, *(given.show or list(ours)[:1])]
    _pictures(folder, {n: methods[n] for n in ["bicubic", *shown]}, slices, spacing_of)


def _settings(data: Path, split: Path, store_dir: Path) -> Settings:
    noise = {"noise_lambda": Levels((LAMBDA,)), "noise_sigma": Levels((SIGMA,)), "scale": SCALE}
    return all_settings.make({"data": data, "split": split, "store_dir": store_dir, **noise})


def _same_as_before(folder: Path, given, split: Path) -> None:
    """Note what the trainings of a folder were made with. Raises UserError for other ones."""
    asked = {"data": str(given.data.resolve()), "split": split.read_text()}
    asked |= {"minutes": given.minutes, "peer": given.peer.read_text()}
    path = folder / "asked.json"
    if path.exists() and json.loads(path.read_text()) != asked:
        raise UserError(
            f"{folder} holds trainings with other --minutes, --data, --split or --peer: name "
            f"another --output"
        )
    write_json(path, asked)


def _loaded(named: list[str]) -> dict[str, Trained]:
    """Checkpoints by name. Raises UserError."""
    found = {}
    for text in named:
        name, _, place = text.partition("=")
        if not (name and place):
            raise UserError(f"--checkpoint {text}: write NAME=DIR, or NAME=shipped")
        meant = shipped_weights.is_meant(place)
        found[name] = shipped_weights.load(SCALE) if meant else checkpoint_models.load(Path(place))
        if found[name].settings["scale"] != SCALE:
            raise UserError(f"--checkpoint {text}: its scale is not {SCALE}")
    return found


def _red_cnn(
    folder: Path, slices: Slices, store: Store, settings: Settings, minutes: float
) -> np.ndarray:
    """What RED-CNN, trained now or before, makes of the slices: (n, 4h, 4w) HU."""
    from benchmarks import red_cnn
    from srgan.commands.train import slice_sets

    weights, outputs = folder / "red_cnn.npz", folder / "red_cnn_outputs.npz"
    if not weights.exists():
        training, _ = slice_sets(store, settings)
        trained, steps = red_cnn.train(training, degradation_of(settings), minutes)
        print(f"RED-CNN: {steps} steps of {red_cnn.BATCH}", flush=True)
        _save(weights, **{str(i): array for i, array in enumerate(trained)})
    if outputs.exists():
        with np.load(outputs) as kept:
            if np.array_equal(kept["low_hu"], slices.low_hu):
                return kept["output_hu"]
    tensorflow_setup.start("float32")
    network = red_cnn.build(SCALE)
    with np.load(weights) as kept:
        network.set_weights([kept[str(i)] for i in range(len(kept.files))])
    method = baselines.network(network)
    lows = progress(slices.low_hu, len(slices.low_hu), "slices through RED-CNN")
    output_hu = np.stack([method(low) for low in lows])
    _save(outputs, low_hu=slices.low_hu, output_hu=output_hu)
    return output_hu


def _save(path: Path, **arrays: np.ndarray) -> None:
    """A NumPy file that is complete or absent."""
    write_whole(path, lambda part: part.write_bytes(checkpoint_models.npz(arrays)))


def _classical(store: Store, settings: Settings) -> tuple[dict[str, baselines.Method], dict]:
    """The methods without training, and what they were tuned to on validation slices."""
    known, degradation = store.with_role("validation"), degradation_of(settings)
    if not known:
        raise UserError("--split has no validation patient to tune non-local means and BM3D on")
    known = [known[i] for i in evenly_spaced(len(known), TUNED_ON)]
    items = study_slices(store, known, [])
    pairs = [study_slice.make_pair(item, degradation, settings.seed) for item in items]

    def error(sd_hu: float) -> float:
        of = partial(_bm3d, sd_hu=sd_hu)
        return sum(float(np.mean((of(low) - normal) ** 2)) ** 0.5 for normal, low in pairs)

    cutoff_hu, sd_hu = baselines.tuned_cutoff_hu(SCALE, pairs), min(TOLD_HU, key=error)
    methods = baselines.classical(SCALE)
    methods[baselines.denoiser_name(SCALE)] = baselines.non_local_means(SCALE, cutoff_hu)
    methods["bm3d+bicubic"] = partial(_bm3d, sd_hu=sd_hu)
    return methods, {"slices": len(pairs), "nlm_cutoff_hu": cutoff_hu, "bm3d_sd_hu": sd_hu}


def _bm3d(low_dose: np.ndarray, sd_hu: float) -> np.ndarray:
    return bicubic(bm3d(low_dose, sd_hu), SCALE)


def _networks(checkpoints: dict[str, Trained]) -> dict[str, baselines.Method]:
    """By row, the networks of the checkpoints, alone and as the mean of eight passes."""
    found = {}
    for name, trained in checkpoints.items():
        for model in trained.models:
            row, network = f"{name} {TITLES[model]}", trained.network(model)
            found[row] = baselines.network(network)
            found[f"{row} x8"] = baselines.network(network, ensemble=True)
    return found


def _of_low(slices: Slices, method: baselines.Method, k: int) -> np.ndarray:
    return method(slices.low_hu[k]).astype(np.float32)


def _pixels(hu: np.ndarray) -> bytes:
    """What a slice is known by: in the peer's files there is no UID."""
    return np.rint(np.clip(hu, HU_MIN, HU_MAX)).astype(np.int16).tobytes()


def measure(
    methods: dict[str, Method],
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

        images = [method(k) for method in methods.values()]
        with ThreadPoolExecutor(cpus()) as pool:
            found = pool.map(measured, images)
            rows += [
                Row(*place, "whole", (0, 0), n, m) for n, m in zip(methods, found, strict=True)
            ]
    return Study(tuple(methods), tuple(rows), normal_dose)


def _discs(methods: dict[str, Method], slices: Slices, pixel_mm: float) -> ttf.Discs:
    """How sharp each method leaves the disc: as disc_phantom.discs_of, on the peer's low doses."""
    numbers = slices.of(DISC)
    start = (disc_phantom.SIZE - disc_phantom.PART) // 2
    part = slice(start, start + disc_phantom.PART)
    images = {NORMAL_DOSE: slices.normal_hu[numbers[0]]}
    for name in progress(methods, len(methods), "methods on the disc"):
        images[name] = np.mean([methods[name](k) for k in numbers], 0)
    centre_px = tuple(at - start for at in disc_phantom.CENTRE_PX)
    where = {"centre_px": centre_px, "radius_px": disc_phantom.RADIUS_PX, "pixel_mm": pixel_mm}
    found = {name: ttf.disc_ttf(hu[part, part], **where) for name, hu in images.items()}
    noise_hu = float(np.std(slices.low_hu[numbers], 0, ddof=1, dtype=np.float64).mean())
    return ttf.Discs(found, disc_phantom.CONTRAST_HU, noise_hu, len(numbers), pixel_mm)


def _pictures(
    folder: Path, methods: dict[str, Method], slices: Slices, spacing_of: dict[bytes, tuple]
) -> None:
    """Of the synthetic chest, and of each tested patient's middle slice in two windows."""

    def images_of(k: int) -> dict[str, np.ndarray]:
        both = {"normal dose": slices.normal_hu[k], "low dose": slices.low_hu[k]}
        return both | {name: method(k) for name, method in methods.items()}

    result_picture.draw(folder / "synthetic.png", images_of(slices.of(CHEST)[0]))
    tested = [k for k, hu in enumerate(slices.normal_hu) if _pixels(hu) in spacing_of]
    for patient in sorted({slices.patient[k] for k in tested}):
        own = [k for k in tested if slices.patient[k] == patient]
        images = images_of(own[len(own) // 2])
        for window in ("lung", "mediastinum"):
            result_picture.draw(folder / f"{patient}-{window}.png", images, window)


if __name__ == "__main__":
    main()
