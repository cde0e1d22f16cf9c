"""Compiled parts of pipelines: the denoiser and the VAE's decoder, which take nearly all the time.

Compiled kernels round otherwise than torch's own, so the setting is part of a model's identity;
measured on an H100, they repeat and keep neighbours apart (docs/benchmarks.md), and a card has to
pass `models check` before runs may use them.
"""

from typing import Any

from panic_hpc.errors import ModelError

DENOISERS = ("unet", "transformer", "transformer_2")
DECODERS = ("vae", "movq", "vqgan")
MAX_SHAPES = 64


def compilable_parts(name: str, pipeline: Any) -> dict[str, Any]:
    """Return what of a pipeline is compiled, by name; ModelError where it has no denoiser."""
    found = {part: getattr(pipeline, part, None) for part in DENOISERS}
    denoisers = {part: module for part, module in found.items() if module is not None}
    if not denoisers:
        raise ModelError(
            f"{name} cannot be compiled: {type(pipeline).__name__} has none of "
            f"{', '.join(DENOISERS)}",
            hint=f"Remove compile from [models.{name}]",
        )
    decoders = {
        f"{part}.decoder": module.decoder
        for part in DECODERS
        if (module := getattr(pipeline, part, None)) is not None and hasattr(module, "decoder")
    }
    return denoisers | decoders


def compile_parts(name: str, pipeline: Any, torch: Any, backend: str = "inductor") -> list[str]:
    """Compile the parts in place, each for every shape that it is called with; return their names.

    What cannot be compiled as a whole is an error when it is called.
    """
    parts = compilable_parts(name, pipeline)
    # Beyond its limit of shapes torch would go on uncompiled without a word, with other bits.
    torch._dynamo.config.recompile_limit = MAX_SHAPES
    torch._dynamo.config.fail_on_recompile_limit_hit = True
    for module in parts.values():
        # Not for any shape: which shapes came first would decide the kernels, so the bits.
        module.compile(fullgraph=True, dynamic=False, backend=backend)
    return list(parts)
