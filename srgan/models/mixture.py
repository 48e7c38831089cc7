"""Two networks of one form mixed to a third: network interpolation (Wang et al., ESRGAN, 2018).

It gives a useful network only where one was trained on from the other, as SRGAN is from SRResNet.
"""

import keras
import numpy as np

from srgan.models.layers import FusedBatchNorm, convolution_before


def mix(network: keras.Model, first: keras.Model, second: keras.Model, share: float) -> None:
    """Give a network the weights (1 - share) * first + share * second, share from 0 to 1.

    All three have one form. Batch normalisations are folded into their convolutions, in `first` and
    `second` too: what stands before a normalisation has no scale of its own, so the same layer may
    have large weights and a large variance in one network and small ones in the other. Their
    mixture would normalise with a variance that nothing has. Of folded layers the mixture is exact:
    for one input it gives the mixture of both outputs.
    """
    fold(first)
    fold(second)
    pairs = zip(first.get_weights(), second.get_weights(), strict=True)
    share = np.float32(share)
    network.set_weights([(1 - share) * a + share * b for a, b in pairs])


def fold(network: keras.Model) -> list[str]:
    """Move each batch normalisation into the convolution before it; its own weights become those
    of the identity. Outputs without training stay the same but for rounding.

    Returns the names of the normalisations that are now the identity.
    """
    folded = []
    for norm in network.layers:
        conv = convolution_before(norm) if isinstance(norm, FusedBatchNorm) else None
        if conv is None:
            continue
        gamma, beta, mean, variance = (
            np.asarray(w, np.float64) for w in (norm.gamma, norm.beta, norm.mean, norm.variance)
        )
        kernel, bias = conv.get_weights()
        gain = gamma / np.sqrt(variance + norm.epsilon)
        conv.set_weights([kernel * gain, (bias - mean) * gain + beta])
        norm.gamma.assign(np.ones_like(gamma))
        norm.beta.assign(np.zeros_like(beta))
        norm.mean.assign(np.zeros_like(mean))
        norm.variance.assign(np.full_like(variance, 1 - norm.epsilon))
        folded.append(norm.name)
    return folded


def without_norms(network: keras.Model) -> keras.Model:
    """A copy for inference without its batch normalisations; a network that has none, itself.

    They are folded into the convolutions before them, so outputs stay the same but for rounding.
    """
    if not any(isinstance(layer, FusedBatchNorm) for layer in network.layers):
        return network
    folded = keras.models.clone_model(network)
    folded.set_weights(network.get_weights())
    names = fold(folded)

    def call(layer, *inputs, **more):
        return inputs[0] if layer.name in names else layer(*inputs, **more)

    lean = keras.models.clone_model(folded, call_function=call)
    for layer in lean.layers:
        layer.set_weights(folded.get_layer(layer.name).get_weights())
    return lean
