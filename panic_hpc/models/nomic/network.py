"""The network of nomic-embed-text-v2-moe: BERT with rotary positions and, in every second layer,
experts.

The architecture is that of Nussbaum and Duderstadt, "Training Sparse Mixture Of Experts Text
Embedding Models" (arXiv 2502.07972). What the paper leaves open was read off public
implementations of the checkpoint (vLLM's bert_with_rope, text-embeddings-inference, fastembed,
llama.cpp, Tenstorrent's), which agree, and is compared with llama.cpp's numbers by
tools/checks/compare_nomic.py:

- layer i has experts where i modulo `moe_every_n_layers` is 1: the first has none;
- the router's softmax runs over all experts, and the chosen ones keep their shares as they are, so
  that these do not add up to one; a bias that all experts have in common is added once;
- the rotation pairs a head's first half with its second; norms follow the sums; GELU is the exact
  one.
"""

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field

Weights = Mapping[str, Any]
"""Tensors under the names that the checkpoint has for them."""


class NomicConfig(BaseModel):
    """What a checkpoint's config.json says: sizes, and what has to be as this network has it."""

    model_config = ConfigDict(extra="ignore", frozen=True)

    vocab_size: int = Field(ge=1)
    n_embd: int = Field(ge=1)
    n_head: int = Field(ge=1)
    n_inner: int = Field(ge=1)
    n_layer: int = Field(ge=1)
    num_experts: int = Field(ge=1)
    moe_top_k: int = Field(ge=1)
    moe_every_n_layers: int = Field(ge=2)
    layer_norm_epsilon: float = Field(gt=0)
    rotary_emb_base: float = Field(gt=0)
    max_trained_positions: Annotated[int, Field(ge=1)] = 2048

    activation_function: Literal["gelu"]
    prenorm: Literal[False] = False
    parallel: Annotated[Literal[False], Field(alias="parallel_block")] = False
    causal: Literal[False] = False
    use_rms_norm: Literal[False] | None = False
    qkv_proj_bias: Literal[True] = True
    mlp_fc1_bias: Literal[True] = True
    mlp_fc2_bias: Literal[True] = True
    rotary_emb_fraction: Annotated[float, Field(ge=1, le=1)] = 1
    rotary_emb_interleaved: Literal[False] = False
    rotary_emb_scale_base: None = None
    rotary_scaling_factor: None = None
    moe_normalize_expert_weights: Literal[False] = False
    expert_choice_router: Literal[False] = False
    num_shared_experts: Literal[0] = 0
    ffn_div: Literal[1] = 1
    type_vocab_size: Literal[1] = 1

    def has_experts(self, layer: int) -> bool:
        """Say whether a layer, counted from 0, has experts in place of one wide layer."""
        return layer % self.moe_every_n_layers == 1


def shapes_of(config: NomicConfig) -> dict[str, tuple[int, ...]]:
    """Return the name and shape of every tensor of a checkpoint."""
    width, wide = config.n_embd, config.n_inner
    shapes: dict[str, tuple[int, ...]] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, width),
        "embeddings.token_type_embeddings.weight": (config.type_vocab_size, width),
        **_norm("emb_ln", width),
    }
    for layer in range(config.n_layer):
        place = f"encoder.layers.{layer}"
        shapes |= _linear(f"{place}.attn.Wqkv", width, 3 * width)
        shapes |= _linear(f"{place}.attn.out_proj", width, width)
        shapes |= {**_norm(f"{place}.norm1", width), **_norm(f"{place}.norm2", width)}
        if config.has_experts(layer):
            shapes[f"{place}.mlp.router.layer.weight"] = (config.num_experts, width)
            shapes[f"{place}.mlp.experts.mlp.w1"] = (config.num_experts * wide, width)
            shapes[f"{place}.mlp.experts.mlp.w2"] = (config.num_experts * wide, width)
            shapes[f"{place}.mlp.experts.bias"] = (width,)
        else:
            shapes |= _linear(f"{place}.mlp.fc1", width, wide)
            shapes |= _linear(f"{place}.mlp.fc2", wide, width)
    return shapes


def _norm(name: str, width: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (width,), f"{name}.bias": (width,)}


def _linear(name: str, read: int, given: int) -> dict[str, tuple[int, ...]]:
    return {f"{name}.weight": (given, read), f"{name}.bias": (given,)}


def token_vectors(config: NomicConfig, weights: Weights, ids: Any) -> Any:
    """Return the (L, n_embd) float32 vectors of the L tokens of one text.

    One text and no batch: how many tokens an expert is given decides the shape of its products, and
    with it their bits, so of texts side by side each would depend on its neighbours.

    1. A token's vector, plus the one that all tokens share, normed.
    2. A layer: attention of all tokens to all, added to what it read, normed; the same of the
       layer's experts, or of its one wide layer.
    """
    from torch.nn.functional import embedding

    words = embedding(ids, weights["embeddings.word_embeddings.weight"])
    shared = weights["embeddings.token_type_embeddings.weight"][0]
    vectors = _normed(config, weights, "emb_ln", words + shared)
    turn = _turns(config, len(ids), vectors)
    for layer in range(config.n_layer):
        place = f"encoder.layers.{layer}"
        heard = _attention(config, weights, f"{place}.attn", vectors, turn)
        vectors = _normed(config, weights, f"{place}.norm1", heard + vectors)
        inner = _experts if config.has_experts(layer) else _wide
        given = inner(config, weights, f"{place}.mlp", vectors)
        vectors = _normed(config, weights, f"{place}.norm2", given + vectors)
    return vectors


def _normed(config: NomicConfig, weights: Weights, name: str, vectors: Any) -> Any:
    from torch.nn.functional import layer_norm

    scale, shift = weights[f"{name}.weight"], weights[f"{name}.bias"]
    return layer_norm(vectors, (config.n_embd,), scale, shift, config.layer_norm_epsilon)


def _turns(config: NomicConfig, length: int, like: Any) -> tuple[Any, Any]:
    """Return (cosines, sines) of the angle of each position and pair, (L, half a head)."""
    import torch

    size = config.n_embd // config.n_head
    # In float32 as the implementations have it: float64 would turn late positions elsewhere.
    pair = torch.arange(0, size, 2, dtype=torch.float32, device=like.device) / size
    place = torch.arange(length, dtype=torch.float32, device=like.device)
    angles = torch.outer(place, 1 / config.rotary_emb_base**pair)
    return angles.cos(), angles.sin()


def _turned(heads: Any, turn: tuple[Any, Any]) -> Any:
    """Return (n_head, L, size) vectors whose halves are turned against each other."""
    import torch

    cosines, sines = turn
    first, second = heads.chunk(2, dim=-1)
    return torch.cat((first * cosines - second * sines, second * cosines + first * sines), dim=-1)


def _attention(
    config: NomicConfig, weights: Weights, place: str, vectors: Any, turn: tuple[Any, Any]
) -> Any:
    mixed = _through(weights, f"{place}.Wqkv", vectors)
    # (query, key and value, head, token, number)
    split = mixed.view(len(vectors), 3, config.n_head, -1).permute(1, 2, 0, 3)
    query, key, value = _turned(split[0], turn), _turned(split[1], turn), split[2]
    likeness = query @ key.transpose(1, 2) / query.shape[-1] ** 0.5
    heard = likeness.softmax(dim=-1) @ value
    return _through(weights, f"{place}.out_proj", heard.transpose(0, 1).reshape(vectors.shape))


def _wide(config: NomicConfig, weights: Weights, place: str, vectors: Any) -> Any:
    from torch.nn.functional import gelu

    return _through(weights, f"{place}.fc2", gelu(_through(weights, f"{place}.fc1", vectors)))


def _through(weights: Weights, name: str, vectors: Any) -> Any:
    from torch.nn.functional import linear

    return linear(vectors, weights[f"{name}.weight"], weights[f"{name}.bias"])


def _experts(config: NomicConfig, weights: Weights, place: str, vectors: Any) -> Any:
    """Return what each token's chosen experts make of it, by the router's shares.

    1. Shares of all experts by softmax; all but the `moe_top_k` largest become 0.
    2. Each expert reads the tokens that chose it; both of its matrices are stored (n_inner, n_embd)
       and lie behind those of the expert before.
    """
    import torch
    from torch.nn.functional import gelu

    shares = (vectors @ weights[f"{place}.router.layer.weight"].T).softmax(dim=-1)
    largest, chosen = shares.topk(config.moe_top_k, dim=-1)
    kept = torch.zeros_like(shares).scatter_(1, chosen, largest)
    names = (f"{place}.experts.mlp.w1", f"{place}.experts.mlp.w2")
    w1, w2 = (weights[n].view(config.num_experts, config.n_inner, config.n_embd) for n in names)
    total = torch.zeros_like(vectors)
    for expert in range(config.num_experts):
        readers = kept[:, expert].nonzero()[:, 0]
        given = gelu(vectors[readers] @ w1[expert].T) @ w2[expert]
        total[readers] += given * kept[readers, expert, None]
    return total + weights[f"{place}.experts.bias"]
