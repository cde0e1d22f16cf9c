"""Models that draw a picture token by token."""

from typing import Any

from tiny_checkpoints import vocabularies
from tiny_checkpoints.classes import BODY, SIDE, tiny

PATCH = 8
N_TOKENS = (SIDE // PATCH) ** 2
SPECIAL = (
    *("<bos>", "<eos>", "<pad>", "<|User|>", "<|Assistant|>"),
    *("<begin_of_image>", "<end_of_image>", "<image_placeholder>"),
)


def janus_parts() -> tuple[Any, ...]:
    """Return Janus: SigLIP's eyes, a Llama, a picture of 16 tokens, decoded by a VQ-GAN."""
    import transformers as hf

    tokenizer = vocabularies.bytes_of(
        SPECIAL,
        before="<bos>",
        bos_token="<bos>",
        eos_token="<eos>",
        pad_token="<pad>",
        extra_special_tokens={
            "image_token": "<image_placeholder>",
            "boi_token": "<begin_of_image>",
            "eoi_token": "<end_of_image>",
        },
    )
    user = "{% if m['role'] == 'user' %}<|User|>: {% endif %}"
    template = vocabularies.turns(user, "\n\n", "<image_placeholder>\n", "<|Assistant|>:")
    config = hf.JanusConfig(
        text_config={
            **BODY,
            "model_type": "llama",
            "num_key_value_heads": 2,
            "max_position_embeddings": 1024,
            "vocab_size": len(tokenizer),
            **vocabularies.ids(
                tokenizer, bos_token_id="<bos>", eos_token_id="<eos>", pad_token_id="<pad>"
            ),
        },
        vision_config={
            "hidden_size": 16,
            "num_attention_heads": 2,
            "num_hidden_layers": 2,
            "mlp_ratio": 2.0,
            "image_size": SIDE,
            "patch_size": PATCH,
            "projection_dim": 16,
            "num_image_tokens": N_TOKENS,
        },
        vq_config={
            "embed_dim": 4,
            "num_embeddings": 64,
            "latent_channels": 8,
            "base_channels": 32,
            "channel_multiplier": [1, 1, 1, 1],
            "num_res_blocks": 1,
            "projection_dim": 16,
            "image_token_embed_dim": 16,
            "num_hidden_layers": 2,
        },
        image_token_id=tokenizer.convert_tokens_to_ids("<image_placeholder>"),
    )
    model = hf.JanusForConditionalGeneration(config)
    # As the published ones ask.
    model.generation_config.guidance_scale = 5.0
    model.generation_config.do_sample = True
    images = hf.JanusImageProcessorPil(size={"height": SIDE, "width": SIDE}, min_size=PATCH)
    processor = hf.JanusProcessor(
        images, tokenizer, chat_template=template, num_image_tokens=N_TOKENS
    )
    return model, processor


# Of prompts of 900 words, as the contract asks them, nearly all is cut.
@tiny("janus", max_sequence_length=128, passes=5)
def janus() -> tuple[Any, ...]:
    """Build Janus, the side that draws."""
    return janus_parts()


@tiny("transformers", max_new_tokens=6, prompt="Describe this image.")
def janus_reading() -> tuple[Any, ...]:
    """Build Janus, the side that reads."""
    return janus_parts()
