"""The sentences at the top of the page, from made gains and findings."""

from types import SimpleNamespace

import pytest

from srgan.evaluation.checks import Finding
from srgan.evaluation.conclusions import Conclusions
from srgan.metrics.intervals import Comparison, Interval
from srgan.report.verdict_sentence import verdict_sentences

BIAS = Finding("bias (lung)", "lung is +6.0 HU off", True)
BONE = Finding("bias (bone)", "bone is +30.0 HU off", True)
INVENTED = Finding("invented share", "7 % of the body", False)
UNCHECKED = Finding("not checked", "not checked: shift", False)


def level(name, **networks):
    """networks: name to its gain on bicubic in dB, and its findings."""
    compared = {
        network: {"bicubic": {"psnr_db.lung": Comparison(Interval(gain, None, 9), None)}}
        for network, (gain, _) in networks.items()
    }
    kinds = {n: "gan" if n.startswith("srgan") else "pixel" for n in networks}
    findings = {"bicubic": []} | {network: lines for network, (_, lines) in networks.items()}
    found = Conclusions({"bicubic": "enlargement"} | kinds, findings, {}, compared)
    return SimpleNamespace(name=name, conclusions=found)


@pytest.mark.parametrize(
    ("gain", "lines", "sentence"),
    [
        (7.44, [INVENTED], "+7.4 dB over bicubic in the lung window, no check failed"),
        (0.0, [], "+0.00 dB over bicubic in the lung window, no check failed"),
        (-0.2, [BIAS], "0.20 dB below bicubic in the lung window, fails: bias (lung)"),
        (1.0, [BIAS, BONE], "+1.0 dB over bicubic in the lung window, fails: bias (lung, bone)"),
        (None, [UNCHECKED], "PSNR was not compared with bicubic in the lung window, "
                           "no check failed; some checks could not be made"),
    ],
)  # fmt: skip
def test_verdict_sentence_at_one_level(gain, lines, sentence):
    assert verdict_sentences([level("", srgan=(gain, lines))]) == [f"SRGAN: {sentence}."]


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        ((7.4, []), (5.1, []), "+5.1 to +7.4 dB over bicubic in the lung window, no check failed"),
        ((0.5, []), (-0.5, [BIAS]), "-0.50 to +0.50 dB against bicubic in the lung window, "
                                    "fails at dose 0.1 (bias (lung))"),
        ((1, [UNCHECKED]), (1, [BIAS]), "+1.0 dB over bicubic in the lung window, fails at dose "
                                        "0.1 (bias (lung)); some checks could not be made"),
        ((-0.1, [BIAS]), (-0.3, [BIAS]), "0.10 to 0.30 dB below bicubic in the lung window, "
                                         "fails at every level (bias (lung))"),
        ((1, [BIAS]), (1, [BONE]), "+1.0 dB over bicubic in the lung window, "
                                   "fails at dose 0.5 (bias (lung)) and at dose 0.1 (bias (bone))"),
    ],
)  # fmt: skip
def test_verdict_sentence_over_two_levels(first, second, sentence):
    levels = [level("dose 0.5", srgan=first), level("dose 0.1", srgan=second)]
    assert verdict_sentences(levels) == [f"SRGAN: {sentence}."]


def test_verdict_has_a_sentence_for_each_network_gans_first():
    networks = {"srresnet": (2.0, []), "srgan": (1.0, []), "srresnet B": (3.0, [])}
    names = [said.split(":")[0] for said in verdict_sentences([level("", **networks)])]
    assert names == ["SRGAN", "SRResNet", "SRResNet B"]
    assert verdict_sentences([level("")]) == ["No network was evaluated."]
