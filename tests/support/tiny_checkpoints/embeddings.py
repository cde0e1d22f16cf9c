"""Embedding models: of texts in sentence-transformers' layout, of images as plain towers."""

import json
import tempfile
from pathlib import Path
from typing import Any

from tiny_checkpoints import vocabularies
from tiny_checkpoints.classes import BODY, SIDE, tiny

EYES = {**BODY, "image_size": SIDE, "patch_size": 8}
SQUARE = {"height": SIDE, "width": SIDE}
CUT = {"size": {"shortest_edge": SIDE}, "crop_size": SQUARE}
WIDTH = BODY["hidden_size"]


class _Whole:
    """A sentence-transformers model that is saved as the other parts are."""

    def __init__(self, modules: list[Any], prompts: dict[str, str] | None = None) -> None:
        self.modules, self.prompts = modules, prompts or {}

    def save_pretrained(self, folder: str) -> None:
        """Write it, without the card that would name the day."""
        from sentence_transformers import SentenceTransformer

        whole = SentenceTransformer(modules=self.modules, device="cpu", prompts=self.prompts)
        whole.save_pretrained(folder, create_model_card=False)


def _reader(model: Any, tokenizer: Any, limit: int | None) -> Any:
    from sentence_transformers.base.modules import Transformer

    folder = tempfile.mkdtemp()
    for part in (model, tokenizer):
        part.save_pretrained(folder)
    return Transformer(folder, max_seq_length=limit)


def _pooled(
    model: Any, tokenizer: Any, mode: str, limit: int | None, *ends: Any, **prompts: str
) -> tuple[_Whole]:
    from sentence_transformers.sentence_transformer.modules import Pooling

    return (_Whole([_reader(model, tokenizer, limit), Pooling(WIDTH, mode), *ends], prompts),)


def _unit() -> Any:
    from sentence_transformers.base.modules import Normalize

    return Normalize()


@tiny("sentence_transformers")
def stsb_mpnet() -> tuple[Any, ...]:
    """Build upstream's STSBMpnet: 75 tokens, vectors of any length."""
    from transformers import MPNetConfig, MPNetModel

    tokenizer = vocabularies.mpnet()
    config = MPNetConfig(**BODY, vocab_size=len(tokenizer), max_position_embeddings=514)
    return _pooled(MPNetModel(config), tokenizer, "mean", 75)


@tiny("sentence_transformers")
def stsb_roberta() -> tuple[Any, ...]:
    """Build upstream's STSBRoberta and STSBDistilRoberta."""
    from transformers import RobertaConfig, RobertaModel

    tokenizer = vocabularies.roberta()
    config = RobertaConfig(**BODY, vocab_size=len(tokenizer), max_position_embeddings=514)
    return _pooled(RobertaModel(config), tokenizer, "mean", 75)


@tiny("sentence_transformers")
def minilm() -> tuple[Any, ...]:
    """Build all-MiniLM."""
    from transformers import BertConfig, BertModel

    tokenizer = vocabularies.bert()
    config = BertConfig(**BODY, vocab_size=len(tokenizer), max_position_embeddings=512)
    return _pooled(BertModel(config), tokenizer, "mean", 256, _unit())


@tiny("sentence_transformers", prefix="search_document: ", max_tokens=256)
def nomic() -> tuple[Any, ...]:
    """Build nomic-embed-text-v1.5: trained on prefixes, and on being cut short."""
    from transformers import NomicBertConfig, NomicBertModel

    tokenizer = vocabularies.bert(8192)
    config = NomicBertConfig(**BODY, vocab_size=len(tokenizer), max_position_embeddings=2048)
    return _pooled(NomicBertModel(config), tokenizer, "mean", 8192)


NOMIC_EXPERTS = {
    "architectures": ["NomicBertModel"],
    "model_type": "nomic_bert",
    "activation_function": "gelu",
    "n_embd": 16,
    "n_head": 2,
    "n_inner": 24,
    "n_layer": 4,
    "num_experts": 8,
    "moe_top_k": 2,
    "moe_every_n_layers": 2,
    "moe_normalize_expert_weights": False,
    "layer_norm_epsilon": 1e-05,
    "rotary_emb_base": 10000,
    "rotary_emb_fraction": 1.0,
    "max_trained_positions": 2048,
}
"""As the published configuration, but for the sizes."""


class _NomicExperts:
    """Weights of a network that no library here has, under the names that it was published with."""

    def __init__(self, config: dict[str, Any]) -> None:
        self.config = config

    def save_pretrained(self, folder: str) -> None:
        """Write configuration and weights."""
        import torch
        from safetensors.torch import save_file

        from panic_hpc.models.nomic.network import NomicConfig, shapes_of

        shapes = shapes_of(NomicConfig.model_validate(self.config))
        weights = {name: 0.3 * torch.randn(shape) for name, shape in shapes.items()}
        weights |= {name: 1 + value for name, value in weights.items() if _is_scale(name)}
        Path(folder).mkdir(exist_ok=True)
        save_file(weights, f"{folder}/model.safetensors", metadata={"format": "pt"})
        Path(folder, "config.json").write_text(json.dumps(self.config))


def _is_scale(name: str) -> bool:
    return name.endswith(("norm1.weight", "norm2.weight", "emb_ln.weight"))


@tiny("nomic_experts", prefix="search_document: ", max_tokens=256)
def nomic_experts() -> tuple[Any, ...]:
    """Build nomic-embed-text-v2-moe: experts in every second layer, XLM-RoBERTa's tokenizer."""
    tokenizer = vocabularies.xlm_roberta(512)
    return _NomicExperts({**NOMIC_EXPERTS, "vocab_size": len(tokenizer)}), tokenizer


@tiny("sentence_transformers")
def bge_m3() -> tuple[Any, ...]:
    """Build BGE-M3's dense part: the class token."""
    from transformers import XLMRobertaConfig, XLMRobertaModel

    tokenizer = vocabularies.xlm_roberta()
    sizes = {"vocab_size": len(tokenizer), "max_position_embeddings": 8194, "pad_token_id": 1}
    model = XLMRobertaModel(XLMRobertaConfig(**BODY, **sizes))
    return _pooled(model, tokenizer, "cls", 8192, _unit())


@tiny("sentence_transformers")
def gte_modernbert() -> tuple[Any, ...]:
    """Build GTE-ModernBERT: windows of attention, the class token."""
    from transformers import ModernBertConfig, ModernBertModel

    tokenizer = vocabularies.bert(8192)
    named = {"cls": "[CLS]", "bos": "[CLS]", "sep": "[SEP]", "eos": "[SEP]", "pad": "[PAD]"}
    config = ModernBertConfig(
        **BODY,
        **vocabularies.ids(tokenizer, **{f"{k}_token_id": token for k, token in named.items()}),
        vocab_size=len(tokenizer),
        max_position_embeddings=8192,
        global_attn_every_n_layers=2,
        local_attention=16,
    )
    return _pooled(ModernBertModel(config), tokenizer, "cls", 8192)


@tiny("sentence_transformers", prompt_name="query")
def qwen3_embedding() -> tuple[Any, ...]:
    """Build Qwen3-Embedding: a decoder whose last token is the vector, an instruction before."""
    from transformers import Qwen3Config, Qwen3Model

    end = "<|endoftext|>"
    tokenizer = vocabularies.bytes_of(
        vocabularies.QWEN, after=end, eos_token="<|im_end|>", pad_token=end, model_max_length=32768
    )
    tokenizer.padding_side = "left"
    config = Qwen3Config(**BODY, num_key_value_heads=2, head_dim=8, vocab_size=len(tokenizer))
    prompts = {"query": "Instruct: find passages that answer\nQuery:", "document": ""}
    return _pooled(Qwen3Model(config), tokenizer, "lasttoken", None, _unit(), **prompts)


@tiny("sentence_transformers", prompt_name="STS", dimension=8, normalise=True)
def embedding_gemma() -> tuple[Any, ...]:
    """Build EmbeddingGemma: Gemma 3 reading both ways, two projections, a prompt for each task."""
    from sentence_transformers.base.modules import Dense
    from transformers import Gemma3TextConfig, Gemma3TextModel

    tokenizer = vocabularies.gemma(2048)
    tokenizer.padding_side = "right"
    config = Gemma3TextConfig(
        **BODY,
        num_key_value_heads=1,
        head_dim=8,
        vocab_size=len(tokenizer),
        query_pre_attn_scalar=8,
        sliding_window=64,
        use_bidirectional_attention=True,
        max_position_embeddings=2048,
    )
    dense = [Dense(WIDTH, 32, bias=False), Dense(32, WIDTH, bias=False)]
    prompts = {"document": "title: none | text: ", "STS": "task: sentence similarity | query: "}
    return _pooled(Gemma3TextModel(config), tokenizer, "mean", 2048, *dense, _unit(), **prompts)


@tiny("sentence_transformers")
def jina_v3() -> tuple[Any, ...]:
    """Build jina-embeddings-v3's native class."""
    from transformers import JinaEmbeddingsV3Config, JinaEmbeddingsV3Model

    tokenizer = vocabularies.xlm_roberta()
    config = JinaEmbeddingsV3Config(**BODY, vocab_size=len(tokenizer), pad_token_id=1)
    return _pooled(JinaEmbeddingsV3Model(config), tokenizer, "mean", 8192, _unit())


@tiny("sentence_transformers")
def static() -> tuple[Any, ...]:
    """Build a static embedding (model2vec): the mean of its tokens' vectors, and no padding."""
    from sentence_transformers.sentence_transformer.modules import StaticEmbedding

    backend = vocabularies.bert().backend_tokenizer
    return (_Whole([StaticEmbedding(backend, embedding_dim=WIDTH)]),)


@tiny("image_embedding", pooling="projection")
def clip() -> tuple[Any, ...]:
    """Build CLIP: two towers and their projections."""
    from transformers import CLIPConfig, CLIPImageProcessorPil, CLIPModel, CLIPProcessor

    tokenizer = vocabularies.clip()
    ends = {"bos_token_id": tokenizer.bos_token_id, "eos_token_id": tokenizer.eos_token_id}
    text = {**BODY, **ends, "vocab_size": len(tokenizer)}
    config = CLIPConfig(text_config=text, vision_config=EYES, projection_dim=12)
    return CLIPModel(config), CLIPProcessor(CLIPImageProcessorPil(**CUT), tokenizer)


@tiny("image_embedding", pooling="projection")
def siglip2() -> tuple[Any, ...]:
    """Build SigLIP 2 of one size, which is of SigLIP's class."""
    from transformers import SiglipConfig, SiglipImageProcessorPil, SiglipModel, SiglipProcessor

    tokenizer = vocabularies.t5(64)
    ends = {"bos_token_id": 1, "eos_token_id": 1, "pad_token_id": 0}
    text = {**BODY, **ends, "vocab_size": len(tokenizer)}
    model = SiglipModel(SiglipConfig(text_config=text, vision_config=EYES))
    return model, SiglipProcessor(SiglipImageProcessorPil(size=SQUARE), tokenizer)


@tiny("image_embedding", pooling="projection")
def siglip2_naflex() -> tuple[Any, ...]:
    """Build SigLIP 2 of any aspect ratio: masks and shapes beside the pixels."""
    from transformers import Siglip2Config, Siglip2ImageProcessorPil, Siglip2Model, Siglip2Processor

    tokenizer = vocabularies.gemma(64)
    ends = {"bos_token_id": 2, "eos_token_id": 1, "pad_token_id": 0}
    text = {**BODY, **ends, "vocab_size": len(tokenizer)}
    eyes = {**BODY, "patch_size": 8, "num_patches": 16}
    images = Siglip2ImageProcessorPil(patch_size=8, max_num_patches=16)
    model = Siglip2Model(Siglip2Config(text_config=text, vision_config=eyes))
    return model, Siglip2Processor(images, tokenizer)


@tiny("image_embedding")
def dinov2() -> tuple[Any, ...]:
    """Build DINOv2."""
    from transformers import BitImageProcessorPil, Dinov2Config, Dinov2Model

    return Dinov2Model(Dinov2Config(**EYES, mlp_ratio=2)), BitImageProcessorPil(**CUT)


@tiny("image_embedding", pooling="patches")
def dinov2_registers() -> tuple[Any, ...]:
    """Build DINOv2 with registers: tokens that are neither class nor patch."""
    from transformers import (
        BitImageProcessorPil,
        Dinov2WithRegistersConfig,
        Dinov2WithRegistersModel,
    )

    config = Dinov2WithRegistersConfig(**EYES, mlp_ratio=2, num_register_tokens=4)
    return Dinov2WithRegistersModel(config), BitImageProcessorPil(**CUT)


@tiny("image_embedding", needs=("torchvision",))
def dinov3() -> tuple[Any, ...]:
    """Build DINOv3, whose image processor is torchvision's only."""
    from transformers import DINOv3ViTConfig, DINOv3ViTImageProcessor, DINOv3ViTModel

    config = DINOv3ViTConfig(**EYES, num_register_tokens=4)
    return DINOv3ViTModel(config), DINOv3ViTImageProcessor(size=SQUARE)


@tiny("image_embedding", pooling="pooler")
def vit_pooled() -> tuple[Any, ...]:
    """Build ViT with its own pooler."""
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    return ViTModel(ViTConfig(**EYES)), ViTImageProcessorPil(size=SQUARE)
