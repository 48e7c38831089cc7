"""benchmarks/peers.py: whose slices are judged, the differences from the peer, RED-CNN's form."""

import itertools

import numpy as np
import pytest

from benchmarks import peers, peers_tables, result_picture, torch_peer
from benchmarks.torch_peer import CHEST, DISC
from srgan.evaluation.study import Row, Study
from srgan.lowdose.degradation import degrade
from srgan.phantom import chest
from srgan.resampling import bicubic
from tests.helpers import made_dicom
from tests.helpers.made_structure import IMAGE_NOISE, SCALE


@pytest.fixture(scope="module")
def slices():
    volume, _ = chest.chest(seed=0, patient=0, slices=6)
    normal = np.clip(volume[2:4], -1024, 3071).astype(np.float32)
    low = degrade(normal, IMAGE_NOISE, np.random.default_rng(0))
    enlarged = bicubic(low, SCALE)
    return torch_peer.Slices(np.array(["A", "B"]), np.array(["1", "2"]), low, normal, enlarged)


def test_the_phantoms_are_test_patients_whose_noise_comes_after_that_of_all_others(tmp_path):
    data, split = tmp_path / "scans", tmp_path / "split.csv"
    for patient in ("a", "zz", "Z9"):
        made_dicom.write(data / patient / "1.dcm", PatientID=patient)
    split.write_text("patient_id,role\na,train\nzz,test\nZ9,other\n")
    both, roles = torch_peer._with_phantoms(tmp_path, data, split, 0.7)
    rows = dict(line.split(",") for line in roles.read_text().splitlines()[1:])
    assert rows == {"a": "train", "zz": "test", "Z9": "other", DISC: "test", CHEST: "test"}
    assert sorted(rows)[-2:] == sorted((DISC, CHEST))
    assert {path.name for path in both.iterdir()} == set(rows)
    assert all(list((both / patient).rglob("*.dcm")) for patient in rows)


def test_only_slices_that_are_held_out_are_measured_and_with_the_peers_low_dose(slices):
    known = {peers._pixels(slices.normal_hu[1]): (0.7, 0.7)}
    outputs = {"peer": slices.output_hu, "truth": slices.normal_hu}
    found = peers.measure(outputs, slices, known, IMAGE_NOISE)
    assert found.patients() == ["B"]
    means = found.overall()
    assert means["truth"]["rmse_hu"] == 0 < means["peer"]["rmse_hu"]
    assert 0.5 < means["truth"]["chi2"] < 2  # with the low dose of another slice it is far above


def test_differences_are_patient_by_patient_and_those_below_the_peer_are_counted():
    def row(patient, number, method, db):
        metrics = {"psnr_db": {"lung": db, "mediastinum": None}, "ssim": {"lung": db / 100}}
        return Row(patient, number, "whole", (0, 0), method, metrics)

    values = {("A", 1): (30, 31), ("A", 2): (32, 35), ("B", 1): (40, 39.5)}
    rows = [row(*at, m, db) for at, of in values.items() for m, db in zip("po", of, strict=True)]
    study = Study(("p", "o"), tuple(rows), {at: {} for at in values})
    found = peers_tables.result(study, "p", ["o"])["against_peer"]["o"]
    assert found["psnr_db.lung"] == {
        "mean": pytest.approx(0.75), "below": 1, "by_patient": {"A": 2.0, "B": -0.5}
    }  # fmt: skip
    assert found["psnr_db.mediastinum"]["mean"] is None
    assert len(peers_tables.markdown(study)) == 2 + 3  # the head, both methods, normal dose


def test_a_picture_shows_a_region_inside_of_the_slice_on_whole_pixels_of_the_low_dose(slices):
    empty = np.full((128, 128), -1000.0, np.float32)
    for hu, window in itertools.product((slices.normal_hu[0], empty), ("lung", "mediastinum")):
        for side, size in zip(result_picture.region_of(hu, window), hu.shape, strict=True):
            assert side.start % SCALE == 0
            assert side.stop - side.start == result_picture.SIDE
            assert 0 <= side.start < side.stop <= size


def test_red_cnn_has_the_papers_maps_and_corrects_the_bicubic_enlargement(slices):
    from benchmarks import red_cnn
    from srgan.evaluation import baselines

    network = red_cnn.build(SCALE)
    # 5x5 with 96 maps: 1 -> 96, eight of 96 -> 96, 96 -> 1
    assert network.count_params() == 25 * (96 + 8 * 96**2 + 96) + 9 * 96 + 1
    low = slices.low_hu[0][40:72, 40:72]
    enlarged = np.clip(bicubic(low, SCALE), -1024, 3071)
    assert np.abs(baselines.network(network)(low) - enlarged).max() > 1
    network.set_weights([np.zeros_like(weight) for weight in network.get_weights()])
    np.testing.assert_allclose(baselines.network(network)(low), enlarged, atol=0.05)
