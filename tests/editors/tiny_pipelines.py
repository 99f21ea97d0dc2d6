"""Tiny random pipelines of the real classes, as diffusers' own tests build them; nothing is downloaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import torch
from diffusers import (
    AutoencoderKL,
    DDPMScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    PNDMScheduler,
    StableDiffusionInpaintPipeline,
    StableDiffusionInstructPix2PixPipeline,
    StableDiffusionPipeline,
    StableDiffusionUpscalePipeline,
    StableDiffusionXLPipeline,
    UNet2DConditionModel,
)
from transformers import CLIPTextConfig, CLIPTextModel, CLIPTextModelWithProjection, CLIPTokenizer

_BLOCKS = {
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "UpBlock2D"),
}
_SCHEDULE = {"beta_start": 0.00085, "beta_end": 0.012, "beta_schedule": "scaled_linear"}


def tokenizer(folder: Path) -> CLIPTokenizer:
    folder.mkdir(parents=True, exist_ok=True)
    letters = [chr(code) for code in range(33, 127)]
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), "<|startoftext|>", "<|endoftext|>"]
    (folder / "vocab.json").write_text(json.dumps({token: number for number, token in enumerate(tokens)}))
    (folder / "merges.txt").write_text("#version: 0.2\n")
    return CLIPTokenizer(str(folder / "vocab.json"), str(folder / "merges.txt"), model_max_length=77)


def text_config(projection: int = 32) -> CLIPTextConfig:
    return CLIPTextConfig(
        bos_token_id=188,
        eos_token_id=189,
        pad_token_id=189,
        hidden_size=32,
        intermediate_size=37,
        num_attention_heads=4,
        num_hidden_layers=2,
        vocab_size=190,
        projection_dim=projection,
    )


def vae() -> AutoencoderKL:
    return AutoencoderKL(
        block_out_channels=(32, 64),
        in_channels=3,
        out_channels=3,
        down_block_types=("DownEncoderBlock2D", "DownEncoderBlock2D"),
        up_block_types=("UpDecoderBlock2D", "UpDecoderBlock2D"),
        latent_channels=4,
        sample_size=32,
    )


def unet(channels: int, **more: Any) -> UNet2DConditionModel:
    settings = {"attention_head_dim": 8, "cross_attention_dim": 32, **_BLOCKS, **more}
    return UNet2DConditionModel(
        block_out_channels=(32, 64),
        layers_per_block=1,
        sample_size=16,
        in_channels=channels,
        out_channels=4,
        norm_num_groups=8,
        **settings,
    )


def instruct_pix2pix(folder: Path) -> StableDiffusionInstructPix2PixPipeline:
    torch.manual_seed(0)
    return StableDiffusionInstructPix2PixPipeline(
        unet=unet(8),
        scheduler=EulerAncestralDiscreteScheduler(**_SCHEDULE),
        vae=vae(),
        text_encoder=CLIPTextModel(text_config()).eval(),
        tokenizer=tokenizer(folder / "vocabulary"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion(folder: Path) -> StableDiffusionPipeline:
    torch.manual_seed(0)
    return StableDiffusionPipeline(
        unet=unet(4),
        scheduler=PNDMScheduler(**_SCHEDULE, skip_prk_steps=True),
        vae=vae(),
        text_encoder=CLIPTextModel(text_config()).eval(),
        tokenizer=tokenizer(folder / "vocabulary"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def stable_diffusion_xl(folder: Path) -> StableDiffusionXLPipeline:
    torch.manual_seed(0)
    return StableDiffusionXLPipeline(
        unet=unet(
            4,
            cross_attention_dim=64,
            attention_head_dim=(2, 4),
            use_linear_projection=True,
            addition_embed_type="text_time",
            addition_time_embed_dim=8,
            transformer_layers_per_block=(1, 2),
            projection_class_embeddings_input_dim=72 + 8,
        ),
        scheduler=EulerDiscreteScheduler(**_SCHEDULE, timestep_spacing="trailing"),
        vae=vae(),
        text_encoder=CLIPTextModel(text_config()).eval(),
        text_encoder_2=CLIPTextModelWithProjection(text_config()).eval(),
        tokenizer=tokenizer(folder / "vocabulary"),
        tokenizer_2=tokenizer(folder / "vocabulary"),
        add_watermarker=False,
    )


def inpaint(folder: Path) -> StableDiffusionInpaintPipeline:
    return StableDiffusionInpaintPipeline(
        unet=unet(9),
        scheduler=PNDMScheduler(**_SCHEDULE, skip_prk_steps=True),
        vae=vae(),
        text_encoder=CLIPTextModel(text_config()).eval(),
        tokenizer=tokenizer(folder / "vocabulary"),
        safety_checker=None,
        feature_extractor=None,
        requires_safety_checker=False,
    )


def upscale(folder: Path) -> StableDiffusionUpscalePipeline:
    return StableDiffusionUpscalePipeline(
        unet=unet(7, num_class_embeds=1000),
        low_res_scheduler=DDPMScheduler(),
        scheduler=PNDMScheduler(**_SCHEDULE, skip_prk_steps=True),
        vae=vae(),
        text_encoder=CLIPTextModel(text_config()).eval(),
        tokenizer=tokenizer(folder / "vocabulary"),
    )


NOT_EDITORS = {"inpaint": inpaint, "upscale": upscale}
KINDS = {
    "instruct-pix2pix": instruct_pix2pix,
    "stable-diffusion": stable_diffusion,
    "stable-diffusion-xl": stable_diffusion_xl,
}
