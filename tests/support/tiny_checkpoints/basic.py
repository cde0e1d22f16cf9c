"""Tiny checkpoints of the real classes with random weights, saved in the standard layouts."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from panic_hpc.models.folder_digest import folder_digest
from panic_hpc.types import ModelSpec

TOKENS = 24
SIDE = 16
WORDS = ("a", "red", "blue", "square", "circle", "on", "the", "grey", "moon", "boat", "and")
CHAT_TEMPLATE = (
    "{% for turn in messages %}{% for part in turn['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %} {{ part['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}{% if add_generation_prompt %} answer:{% endif %}"
)
_BERT_SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_BODY = {
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_attention_heads": 2,
    "num_hidden_layers": 2,
}


def bert_tokenizer() -> Any:
    """Return a word-piece tokenizer that can spell lower-case ASCII."""
    from transformers import BertTokenizer

    letters = [chr(code) for code in range(33, 127) if not chr(code).isupper()]
    pieces = [*_BERT_SPECIAL, *WORDS, *letters, *(f"##{letter}" for letter in letters)]
    vocabulary = {piece: place for place, piece in enumerate(dict.fromkeys(pieces))}
    return BertTokenizer(vocab=vocabulary, do_lower_case=True, model_max_length=TOKENS)


def clip_tokenizer() -> Any:
    """Return a byte-level tokenizer without merges."""
    from tokenizers import pre_tokenizers
    from transformers import CLIPTokenizer

    letters = sorted(pre_tokenizers.ByteLevel.alphabet())
    begin, end = "<|startoftext|>", "<|endoftext|>"
    pieces = [*letters, *(f"{letter}</w>" for letter in letters), begin, end]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    special = {"bos_token": begin, "eos_token": end, "pad_token": end, "unk_token": end}
    return CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=TOKENS, **special)


def stable_diffusion(folder: Path) -> None:
    """Save a latent diffusion pipeline of 16 by 16 pictures."""
    from diffusers import (
        AutoencoderKL,
        DDIMScheduler,
        StableDiffusionPipeline,
        UNet2DConditionModel,
    )
    from transformers import CLIPTextConfig, CLIPTextModel

    tokenizer = clip_tokenizer()
    vae = AutoencoderKL(
        block_out_channels=(8, 16),
        norm_num_groups=4,
        down_block_types=("DownEncoderBlock2D",) * 2,
        up_block_types=("UpDecoderBlock2D",) * 2,
        latent_channels=4,
        sample_size=SIDE,
    )
    unet = UNet2DConditionModel(
        sample_size=SIDE // 2,
        block_out_channels=(8, 16),
        layers_per_block=1,
        norm_num_groups=4,
        down_block_types=("DownBlock2D", "CrossAttnDownBlock2D"),
        up_block_types=("CrossAttnUpBlock2D", "UpBlock2D"),
        cross_attention_dim=16,
        attention_head_dim=2,
    )
    text = CLIPTextConfig(
        **_BODY, vocab_size=len(tokenizer), max_position_embeddings=TOKENS, projection_dim=16
    )
    pipeline = StableDiffusionPipeline(
        vae=vae,
        text_encoder=CLIPTextModel(text),
        tokenizer=tokenizer,
        unet=unet,
        scheduler=DDIMScheduler(steps_offset=1, clip_sample=False),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )
    pipeline.save_pretrained(folder)


def git(folder: Path) -> None:
    """Save a captioner whose picture is a prefix of its text."""
    from transformers import CLIPImageProcessorPil, GitConfig, GitForCausalLM, GitProcessor

    tokenizer = bert_tokenizer()
    eyes = {**_BODY, "image_size": SIDE, "patch_size": 4}
    ids = {
        "bos_token_id": tokenizer.cls_token_id,
        "eos_token_id": tokenizer.sep_token_id,
        "pad_token_id": tokenizer.pad_token_id,
    }
    config = GitConfig(
        **_BODY, **ids, vision_config=eyes, vocab_size=len(tokenizer), max_position_embeddings=64
    )
    GitForCausalLM(config).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    processor = CLIPImageProcessorPil(size=size, do_center_crop=False)
    GitProcessor(processor, tokenizer).save_pretrained(folder)


def vision_encoder_decoder(folder: Path) -> None:
    """Save a captioner of two transformers, whose processor is in two parts."""
    from transformers import (
        BertConfig,
        VisionEncoderDecoderConfig,
        VisionEncoderDecoderModel,
        ViTConfig,
        ViTImageProcessorPil,
    )

    tokenizer = bert_tokenizer()
    encoder = ViTConfig(**_BODY, image_size=SIDE, patch_size=4)
    decoder = BertConfig(
        **_BODY,
        vocab_size=len(tokenizer),
        max_position_embeddings=64,
        is_decoder=True,
        add_cross_attention=True,
    )
    config = VisionEncoderDecoderConfig.from_encoder_decoder_configs(encoder, decoder)
    model = VisionEncoderDecoderModel(config)
    model.generation_config.decoder_start_token_id = tokenizer.cls_token_id
    model.generation_config.eos_token_id = tokenizer.sep_token_id
    model.generation_config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


def llava(folder: Path) -> None:
    """Save a chat model that sees: a decoder asked in a template, image tokens in its prompt."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import (
        CLIPImageProcessorPil,
        CLIPVisionConfig,
        LlamaConfig,
        LlavaConfig,
        LlavaForConditionalGeneration,
        LlavaProcessor,
        PreTrainedTokenizerFast,
    )

    pieces = ["<s>", "</s>", "<pad>", "<image>", *sorted(pre_tokenizers.ByteLevel.alphabet())]
    vocabulary = {piece: place for place, piece in enumerate(pieces)}
    backend = Tokenizer(models.BPE(vocabulary, []))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_object=backend,
        bos_token="<s>",
        eos_token="</s>",
        pad_token="<pad>",
        extra_special_tokens={"image_token": "<image>"},
    )
    body = {**_BODY, "num_key_value_heads": 2, "vocab_size": len(pieces)}
    ids = {"bos_token_id": 0, "eos_token_id": 1, "pad_token_id": 2}
    config = LlavaConfig(
        vision_config=CLIPVisionConfig(**_BODY, image_size=SIDE, patch_size=4),
        text_config=LlamaConfig(**body, **ids),
        image_token_id=3,
    )
    LlavaForConditionalGeneration(config).save_pretrained(folder)
    size = {"height": SIDE, "width": SIDE}
    processor = LlavaProcessor(
        CLIPImageProcessorPil(size=size, crop_size=size),
        tokenizer,
        patch_size=4,
        vision_feature_select_strategy="default",
        num_additional_image_tokens=1,
        chat_template=CHAT_TEMPLATE,
    )
    processor.save_pretrained(folder)


def sentence_bert(folder: Path) -> None:
    """Save a text embedding model: BERT, mean of tokens, unit length; it has a named prompt."""
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.base.modules import Normalize, Transformer
    from sentence_transformers.sentence_transformer.modules import Pooling
    from transformers import BertConfig, BertModel

    tokenizer = bert_tokenizer()
    body = folder / "body"
    config = BertConfig(**_BODY, vocab_size=len(tokenizer), max_position_embeddings=TOKENS)
    BertModel(config).save_pretrained(body)
    tokenizer.save_pretrained(body)
    modules = [Transformer(str(body)), Pooling(16, "mean"), Normalize()]
    model = SentenceTransformer(modules=modules, device="cpu", prompts={"query": "on the moon "})
    model.save_pretrained(str(folder / "whole"), create_model_card=False)


def vit(folder: Path) -> None:
    """Save a vision model without a head."""
    from transformers import ViTConfig, ViTImageProcessorPil, ViTModel

    ViTModel(ViTConfig(**_BODY, image_size=SIDE, patch_size=4)).save_pretrained(folder)
    ViTImageProcessorPil(size={"height": SIDE, "width": SIDE}).save_pretrained(folder)


class Checkpoints:
    """Makes each checkpoint once, and descriptions of models that use them."""

    def __init__(self, root: Path) -> None:
        self.root = root

    def folder(self, make: Callable[[Path], None], part: str = "") -> Path:
        """Return the folder of a checkpoint."""
        import torch

        folder = self.root / make.__name__
        if not folder.exists():
            torch.manual_seed(7)
            make(folder)
        return folder / part

    def spec(self, family: str, folder: Path, batch_size: int = 3, **settings: Any) -> ModelSpec:
        """Return a model of `family` with the weights in `folder`."""
        from panic_hpc import installed

        plugin = installed.plugins("families")[family]
        filled = plugin.settings.model_validate({"batch_size": batch_size, **settings})
        values = json.loads(filled.model_dump_json(exclude={"batch_size"}))
        consumes, produces = plugin.modalities(filled)
        digest = folder_digest(folder)
        return ModelSpec(
            folder.name, family, consumes, produces, "", digest, str(folder), batch_size, values
        )

    def diffusion(self, **settings: Any) -> ModelSpec:
        """Return the tiny text→image model."""
        chosen = {"steps": 2, "height": SIDE, "width": SIDE, **settings}
        return self.spec("diffusers", self.folder(stable_diffusion), **chosen)

    def captioner(self, make: Callable[[Path], None] = git, **settings: Any) -> ModelSpec:
        """Return a tiny image→text model."""
        return self.spec("transformers", self.folder(make), **{"max_new_tokens": 6, **settings})

    def text_embedding(self, **settings: Any) -> ModelSpec:
        """Return the tiny text embedding model."""
        folder = self.folder(sentence_bert, "whole")
        return self.spec("sentence_transformers", folder, **settings)

    def image_embedding(self, **settings: Any) -> ModelSpec:
        """Return the tiny image embedding model."""
        return self.spec("image_embedding", self.folder(vit), **settings)
