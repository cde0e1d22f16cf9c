"""The codec of a modality, found by folder."""

from panic_hpc import registry
from panic_hpc.stages.codecs.base import Codec


def codec_of(modality: str) -> Codec:
    """Return the codec of `modality`; PanicError where there is none."""
    codecs = registry.collect("panic_hpc.stages.codecs")
    codec: Codec = registry.lookup(codecs, modality, "codec of modality")
    return codec
