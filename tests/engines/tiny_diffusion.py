"""Pipelines of diffusers with random weights, small enough to be made and run in a test."""

import json

import torch
from diffusers import (
    AutoencoderKL,
    EulerDiscreteScheduler,
    FlowMatchEulerDiscreteScheduler,
    FluxPipeline,
    FluxTransformer2DModel,
    StableDiffusionPipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import (
    CLIPTextConfig,
    CLIPTextModel,
    CLIPTextModelWithProjection,
    CLIPTokenizer,
    T5Config,
    T5EncoderModel,
)

_BYTES = [*range(33, 127), *range(161, 173), *range(174, 256)]


def write_tokenizer(folder):
    """A CLIP tokenizer that knows single bytes and no words."""
    letters = [chr(one) for one in _BYTES] + [chr(256 + number) for number in range(256 - len(_BYTES))]
    words = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "vocab.json").write_text(json.dumps({word: number for number, word in enumerate(words)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77), len(words)


def make_pipeline(folder):
    """Stable Diffusion 1, from weights that are the same each time."""
    tokenizer, words = write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    return StableDiffusionPipeline(
        unet=UNet2DConditionModel(cross_attention_dim=16, **_UNET),
        vae=_make_vae(),
        text_encoder=CLIPTextModel(_clip_config(words)).eval(),
        tokenizer=tokenizer,
        scheduler=_make_scheduler(),
        safety_checker=None,
        feature_extractor=None,
        image_encoder=None,
        requires_safety_checker=False,
    )


def make_sdxl(folder):
    """Stable Diffusion XL: two text encoders, and sizes as conditions."""
    tokenizer, words = write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    unet = UNet2DConditionModel(
        cross_attention_dim=32, addition_embed_type="text_time", addition_time_embed_dim=8,
        projection_class_embeddings_input_dim=16 + 6 * 8, use_linear_projection=True, **_UNET,
    )  # fmt: skip
    return StableDiffusionXLPipeline(
        vae=_make_vae(),
        text_encoder=CLIPTextModel(_clip_config(words)).eval(),
        text_encoder_2=CLIPTextModelWithProjection(_clip_config(words)).eval(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        unet=unet,
        scheduler=_make_scheduler(),
    )


def make_flux(folder):
    """Flux: a transformer, flow matching, no negative prompt."""
    tokenizer, words = write_tokenizer(folder / "tokenizer")
    torch.manual_seed(0)
    t5 = T5Config(vocab_size=600, d_model=32, d_kv=8, d_ff=37, num_layers=2, num_heads=4, decoder_start_token_id=0)
    transformer = FluxTransformer2DModel(
        patch_size=1, in_channels=4, num_layers=1, num_single_layers=1, attention_head_dim=16, num_attention_heads=2,
        joint_attention_dim=32, pooled_projection_dim=16, axes_dims_rope=[4, 4, 8],
    )  # fmt: skip
    return FluxPipeline(
        scheduler=FlowMatchEulerDiscreteScheduler(),
        text_encoder=CLIPTextModel(_clip_config(words)).eval(),
        text_encoder_2=T5EncoderModel(t5).eval(),
        tokenizer=tokenizer,
        tokenizer_2=tokenizer,
        transformer=transformer,
        vae=_make_vae(1, use_quant_conv=False, use_post_quant_conv=False, shift_factor=0.06, scaling_factor=1.5),
    )


_UNET = {
    "sample_size": 8, "in_channels": 4, "out_channels": 4, "layers_per_block": 1, "block_out_channels": (4, 8),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"), "norm_num_groups": 2, "attention_head_dim": 2,
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}  # fmt: skip


def _make_vae(latent_channels=4, **options):
    return AutoencoderKL(
        in_channels=3, out_channels=3, latent_channels=latent_channels, block_out_channels=(4, 4, 4, 8),
        norm_num_groups=2, down_block_types=("DownEncoderBlock2D",) * 4, up_block_types=("UpDecoderBlock2D",) * 4,
        **options,
    )  # fmt: skip


def _make_scheduler():
    return EulerDiscreteScheduler(beta_schedule="scaled_linear", beta_start=0.00085, beta_end=0.012, steps_offset=1)


def _clip_config(words):
    return CLIPTextConfig(
        vocab_size=words, hidden_size=16, intermediate_size=16, num_hidden_layers=3, num_attention_heads=2,
        bos_token_id=words - 2, eos_token_id=words - 1, pad_token_id=1, projection_dim=16,
    )  # fmt: skip


def save_lora(folder, path):
    """A LoRA for the pipeline in `folder`, with weights that change the picture."""
    from peft import LoraConfig
    from peft.utils import get_peft_model_state_dict

    pipe = StableDiffusionPipeline.from_pretrained(folder)
    pipe.unet.add_adapter(LoraConfig(r=2, lora_alpha=2, init_lora_weights=False, target_modules=["to_q", "to_v"]))
    path.parent.mkdir(parents=True, exist_ok=True)
    StableDiffusionPipeline.save_lora_weights(
        path.parent, unet_lora_layers=get_peft_model_state_dict(pipe.unet), weight_name=path.name
    )


def save_single_file(folder, path):
    """The pipeline's weights in one file, as checkpoints are passed around: under the names of CompVis's code.

    The names are those that `diffusers/loaders/single_file_utils.py` reads; a wrong one fails to load.
    """
    from safetensors.torch import save_file

    pipe = StableDiffusionPipeline.from_pretrained(folder)
    layers = pipe.unet.config.layers_per_block
    ups = len(pipe.vae.config.block_out_channels) - 1
    weights = {
        f"model.diffusion_model.{_unet_name(name, layers)}": value for name, value in pipe.unet.state_dict().items()
    }
    for name, value in pipe.vae.state_dict().items():
        is_attention = "attentions" in name and "group_norm" not in name and value.ndim == 2
        weights[f"first_stage_model.{_vae_name(name, ups)}"] = value[:, :, None, None] if is_attention else value
    for name, value in pipe.text_encoder.state_dict().items():
        weights[f"cond_stage_model.transformer.text_model.{name.removeprefix('text_model.')}"] = value
    save_file({name: value.clone() for name, value in weights.items()}, path)


_RESNET = {
    "norm1": "in_layers.0", "conv1": "in_layers.2", "time_emb_proj": "emb_layers.1", "norm2": "out_layers.0",
    "conv2": "out_layers.3", "conv_shortcut": "skip_connection",
}  # fmt: skip
_UNET_HEADS = {
    "time_embedding.linear_1": "time_embed.0", "time_embedding.linear_2": "time_embed.2",
    "conv_in": "input_blocks.0.0", "conv_norm_out": "out.0", "conv_out": "out.2",
}  # fmt: skip


def _unet_name(name, layers):
    parts = name.split(".")
    for ours, theirs in _UNET_HEADS.items():
        if name.startswith(f"{ours}."):
            return name.replace(ours, theirs, 1)
    block, rest = (0, parts[1:]) if parts[0] == "mid_block" else (int(parts[1]), parts[2:])
    kind, number, inner = rest[0], int(rest[1]), rest[2:]
    if kind == "resnets":
        inner[0] = _RESNET[inner[0]]
    tail = ".".join(inner)
    if parts[0] == "mid_block":
        return f"middle_block.{1 if kind == 'attentions' else 2 * number}.{tail}"
    if kind == "downsamplers":
        return f"input_blocks.{(block + 1) * (layers + 1)}.0.op.{inner[-1]}"
    if kind == "upsamplers":
        return f"output_blocks.{(block + 1) * (layers + 1) - 1}.{2 if block == 0 else 1}.{tail}"
    place = 1 if kind == "attentions" else 0
    if parts[0] == "down_blocks":
        return f"input_blocks.{1 + block * (layers + 1) + number}.{place}.{tail}"
    return f"output_blocks.{block * (layers + 1) + number}.{place}.{tail}"


_ATTENTION = {"group_norm": "norm", "to_q": "q", "to_k": "k", "to_v": "v", "to_out": "proj_out"}


def _vae_name(name, ups):
    parts = name.split(".")
    if len(parts) < 4:
        return name.replace("conv_norm_out", "norm_out")
    side, kind = parts[0], parts[1]
    if kind == "mid_block":
        if parts[2] == "resnets":
            return f"{side}.mid.block_{int(parts[3]) + 1}.{'.'.join(parts[4:])}"
        return f"{side}.mid.attn_1.{_ATTENTION[parts[4]]}.{parts[-1]}"
    block = int(parts[2])
    where = f"{side}.down.{block}" if kind == "down_blocks" else f"{side}.up.{ups - block}"
    if parts[3] == "resnets":
        return f"{where}.block.{parts[4]}.{'.'.join(parts[5:]).replace('conv_shortcut', 'nin_shortcut')}"
    return f"{where}.{'downsample' if kind == 'down_blocks' else 'upsample'}.conv.{parts[-1]}"
