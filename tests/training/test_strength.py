import numpy as np
import pytest

from srgan.models import generator
from srgan.system.errors import UserError
from srgan.training import checkpoint_models, strength
from tests.helpers.made_manifest import manifest

BOTH = ("srresnet", "srgan")


def saved(folder, names=BOTH):
    folder.mkdir(exist_ok=True)
    for i, name in enumerate(names):
        model = generator.build("fast", 2, seed=i + 1)
        checkpoint_models.save_model(folder, name, model, manifest(step=3 + i))
    return checkpoint_models.load(folder)


def test_the_ends_are_exactly_the_two_models_and_the_middle_has_their_mean_weights(tmp_path):
    trained = saved(tmp_path)
    networks = {s: strength.network(trained, s).get_weights() for s in (0, 0.5, 1)}
    for s, name in ((0, "srresnet"), (1, "srgan")):
        of_model = trained.network(name).get_weights()
        assert all(np.array_equal(a, b) for a, b in zip(networks[s], of_model, strict=True))
    for a, middle, b in zip(*networks.values(), strict=True):
        assert np.allclose(middle, (a + b) / 2, atol=1e-7)


def test_names_and_models_of_a_strength():
    assert [strength.method_name(s) for s in (0.0, 0.25, 1.0)] == [
        "srresnet",
        "srgan 0.25",
        "srgan",
    ]
    assert [strength.models_of(s) for s in (0.0, 0.25, 1.0)] == [BOTH[:1], BOTH, BOTH[1:]]


def test_without_a_srgan_the_default_is_the_srresnet_and_says_so(tmp_path, said):
    assert strength.checked(saved(tmp_path / "both"), None) == 1
    assert said == []
    assert strength.checked(saved(tmp_path, ("srresnet",)), None) == 0
    assert said == ["the checkpoint has no SRGAN: its SRResNet is used, which is --strength 0"]


@pytest.mark.parametrize("asked", [0.5, 1.0])
def test_a_strength_that_needs_a_missing_srgan_is_refused(tmp_path, asked):
    trained = saved(tmp_path, ("srresnet",))
    for function in (strength.checked, strength.network):
        with pytest.raises(UserError) as error:
            function(trained, asked)
        assert str(error.value) == (
            f"--strength {asked:g} needs the SRGAN, which the checkpoint does not have: give "
            f"--strength 0 for its SRResNet, or train on"
        )
    assert strength.checked(trained, 0.0) == 0


def test_a_strength_that_needs_a_missing_srresnet_is_refused(tmp_path):
    trained = saved(tmp_path, ("srgan",))
    for asked in (0.0, 0.5):
        with pytest.raises(UserError, match=r"the SRResNet.*give --strength 1 for its SRGAN"):
            strength.network(trained, asked)
    assert strength.checked(trained, None) == strength.checked(trained, 1.0) == 1
