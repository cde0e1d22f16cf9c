"""Compare our network of nomic-embed-text-v2-moe with llama.cpp's, on small weights drawn by name.

python tools/checks/compare_nomic.py           prints how far they are apart
python tools/checks/compare_nomic.py FILE      writes what llama.cpp gave, for
                                               tests/models/families/nomic_of_llama_cpp.json

llama.cpp's network was compared by its authors with the published weights. It needs the packages
llama-cpp-python and gguf, which are no part of the lists of this package. Two things differ: its
GELU comes from a table in half precision, made by the tanh formula, so that ours is given the same
table here (`table_gelu`); and it has no place for the bias that experts have in common, which is 0.
"""

import json
import random
import sys
import tempfile
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from panic_hpc.models.nomic.network import NomicConfig, shapes_of

ARCHITECTURE = "nomic-bert-moe"
MEAN_POOLING, NO_CAUSE = 1, 1
CONFIG = NomicConfig(
    vocab_size=40,
    n_embd=16,
    n_head=2,
    n_inner=24,
    n_layer=4,
    num_experts=8,
    moe_top_k=2,
    moe_every_n_layers=2,
    layer_norm_epsilon=1e-5,
    rotary_emb_base=10_000,
    activation_function="gelu",
)
TEXTS = ([0, 2], [0, 7, 2], [0, *range(4, 24), 2], [0, *[31, 5, 17] * 60, 2])
"""Numbers of tokens, in place of texts."""

Tensors = dict[str, npt.NDArray[np.float32]]


def drawn(config: NomicConfig) -> Tensors:
    """Return weights of the published names, the same with every version of every library.

    Scales of norms lie around 1; the bias that experts have in common is 0.
    """
    tensors = {}
    for name, shape in shapes_of(config).items():
        draw = random.Random(name)
        numbers = [draw.random() - 0.5 for _ in range(int(np.prod(shape)))]
        values = np.array(numbers, np.float32).reshape(shape)
        is_scale = "norm" in name or name.startswith("emb_ln")
        values += np.float32(1 if is_scale and name.endswith("weight") else 0)
        tensors[name] = np.zeros_like(values) if name.endswith("experts.bias") else values
    return tensors


def our_vectors(config: NomicConfig, tensors: Tensors, network: Any) -> list[list[float]]:
    """Return the mean of the token vectors of each of TEXTS that `network` gives."""
    import torch

    weights = {name: torch.from_numpy(value) for name, value in tensors.items()}
    with torch.inference_mode():
        means = [network.token_vectors(config, weights, torch.tensor(ids)).mean(0) for ids in TEXTS]
    return [list(map(float, mean)) for mean in means]


def table_gelu(values: Any) -> Any:
    """Return GELU as llama.cpp has it on a CPU: between -10 and 10 half precision, and tanh."""
    import torch

    half = values.half().float()
    inner = (2 / torch.pi) ** 0.5 * half * (1 + 0.044715 * half * half)
    listed = (0.5 * half * (1 + torch.tanh(inner))).half().float()
    return torch.where(values <= -10, 0, torch.where(values >= 10, values, listed))


def write_gguf(path: Path, config: NomicConfig, tensors: Tensors) -> None:
    """Write the model as a file of llama.cpp."""
    from gguf import GGUFWriter

    writer = GGUFWriter(path, ARCHITECTURE)
    writer.add_vocab_size(config.vocab_size)
    writer.add_context_length(config.max_trained_positions)
    writer.add_embedding_length(config.n_embd)
    writer.add_feed_forward_length(config.n_inner)
    writer.add_block_count(config.n_layer)
    writer.add_head_count(config.n_head)
    writer.add_layer_norm_eps(config.layer_norm_epsilon)
    writer.add_rope_freq_base(config.rotary_emb_base)
    writer.add_causal_attention(False)
    writer.add_expert_count(config.num_experts)
    writer.add_expert_used_count(config.moe_top_k)
    writer.add_moe_every_n_layers(config.moe_every_n_layers)
    writer.add_tokenizer_model("no_vocab")
    writer.add_token_type_count(config.type_vocab_size)
    for name, value in tensors.items():
        if not name.endswith("experts.bias"):
            writer.add_tensor(_their_name(name), _their_layout(name, value, config))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


THEIR_NAMES = {
    "embeddings.word_embeddings": "token_embd",
    "embeddings.token_type_embeddings": "token_types",
    "emb_ln": "token_embd_norm",
    "encoder.layers": "blk",
    "attn.Wqkv": "attn_qkv",
    "attn.out_proj": "attn_output",
    "norm1": "attn_output_norm",
    "norm2": "layer_output_norm",
    "mlp.fc1": "ffn_up",
    "mlp.fc2": "ffn_down",
    "mlp.router.layer": "ffn_gate_inp",
    "mlp.experts.mlp.w1": "ffn_up_exps.weight",
    "mlp.experts.mlp.w2": "ffn_down_exps.weight",
}


def _their_name(name: str) -> str:
    for ours, theirs in THEIR_NAMES.items():
        name = name.replace(ours, theirs)
    return name


def _their_layout(
    name: str, value: npt.NDArray[np.float32], config: NomicConfig
) -> npt.NDArray[np.float32]:
    if ".experts.mlp." not in name:
        return value
    by_expert = value.reshape(config.num_experts, config.n_inner, config.n_embd)
    # Matrices of llama.cpp lie as torch's linear ones do: (given, read).
    return by_expert if name.endswith("w1") else by_expert.transpose(0, 2, 1).copy()


def their_vectors(path: Path, config: NomicConfig) -> list[list[float]]:
    """Return the mean of the token vectors of each of TEXTS that llama.cpp gives."""
    import llama_cpp as llama

    quiet = llama.llama_log_callback(lambda *_: None)
    llama.llama_log_set(quiet, None)
    llama.llama_backend_init()
    model = llama.llama_model_load_from_file(str(path).encode(), llama.llama_model_default_params())
    settings = llama.llama_context_default_params()
    settings.embeddings, settings.pooling_type, settings.attention_type = (
        True,
        MEAN_POOLING,
        NO_CAUSE,
    )
    settings.n_ctx = settings.n_batch = settings.n_ubatch = 512
    settings.n_threads = settings.n_threads_batch = 1
    # It would keep keys and values in half precision.
    settings.flash_attn_type = 0
    context = llama.llama_init_from_model(model, settings)
    vectors = []
    for ids in TEXTS:
        batch = llama.llama_batch_init(len(ids), 0, 1)
        batch.n_tokens = len(ids)
        for place, number in enumerate(ids):
            batch.token[place], batch.pos[place], batch.logits[place] = number, place, True
            batch.n_seq_id[place], batch.seq_id[place][0] = 1, 0
        if llama.llama_encode(context, batch):
            raise SystemExit("llama.cpp failed")
        found = llama.llama_get_embeddings_seq(context, 0)
        vectors.append([float(found[place]) for place in range(config.n_embd)])
        llama.llama_batch_free(batch)
    llama.llama_free(context)
    llama.llama_model_free(model)
    return vectors


def main() -> None:
    """Print the largest difference of a number, and write theirs where a file is named."""
    missing = [name for name in ("llama_cpp", "gguf") if not find_spec(name)]
    if missing:
        print(f"Nothing was compared: {' and '.join(missing)} not installed")
        return
    import torch

    from panic_hpc.models.nomic import network

    tensors = drawn(CONFIG)
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "small.gguf"
        write_gguf(path, CONFIG, tensors)
        theirs = their_vectors(path, CONFIG)
    exact = our_vectors(CONFIG, tensors, network)
    torch.nn.functional.gelu = table_gelu
    by_table = our_vectors(CONFIG, tensors, network)
    size = np.abs(theirs).max()
    for what, ours in (("the same GELU", by_table), ("exact GELU", exact)):
        apart = np.abs(np.array(ours) - theirs).max()
        print(f"{what}: at most {apart:.1e} apart, of numbers up to {size:.2f}")
    for path in map(Path, sys.argv[1:2]):
        path.write_text(json.dumps({"texts": TEXTS, "vectors": theirs}) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
