"""What is foreground in a picture: from given masks, from any segmentation network, or by saliency.

A foreground is anything that maps uint8 [N, 3, H, W] to bool [N, H, W], the same for an image in any batch.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping
from typing import Any, Protocol, Self

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from spellward.data.masks import MaskTable
from spellward.editors.padding import fill_batch
from spellward.models.segmentation import SegmentationModel

_BATCH = 32
_SIDE = 64
_LEVELS = 64
_GROW = 0.02
_CAUTION = 0.7


class Foreground(Protocol):
    """Finds what an object must not cover."""

    @property
    def name(self) -> str:
        """Names everything that changes the result; part of the editor's fingerprint."""

    def __call__(self, images: Tensor) -> Tensor:
        """uint8 [N, 3, H, W] to bool [N, H, W]."""


class SaliencyForeground:
    """What differs from the picture's border, in colour and in the public backbone's features.

    Both are measured as distances from what the border shows. They are cut at 70 % of Otsu's threshold, since some lost
    background does no harm and a touched foreground does, and the result grows by 2 % of the side.
    """

    name = "saliency-1"

    def __init__(self) -> None:
        self._stem: Any = None

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        small = F.interpolate(images.float(), (_SIDE, _SIDE), mode="area") / 255
        parts = []
        for start in range(0, len(small), _BATCH):
            rows = small[start : start + _BATCH]
            full = fill_batch(rows, _BATCH)
            colour = _distance_from_border(full)
            feature = F.interpolate(
                _distance_from_border(self._features(full))[:, None], (_SIDE, _SIDE), mode="bilinear"
            )
            parts.append((colour + feature[:, 0])[: len(rows)])
        if not parts:
            return torch.zeros((0, height, width), dtype=torch.bool)
        saliency = (torch.cat(parts) * (_LEVELS / 2)).round().to(torch.uint8)
        masks = torch.stack([one > _CAUTION * _otsu(one.numpy()) for one in saliency])
        masks = F.interpolate(masks[:, None].float(), (height, width), mode="nearest")
        reach = max(1, round(_GROW * min(height, width)))
        return F.max_pool2d(masks, 2 * reach + 1, stride=1, padding=reach)[:, 0] > 0.5

    def _features(self, pixels: Tensor) -> Tensor:
        """The backbone's features at an eighth of the side."""
        if self._stem is None:
            import timm

            from spellward.models import bundled

            network = timm.create_model(bundled.ARCHITECTURE, pretrained=False)
            bundled.load_bundled_weights(network)
            self._stem = network.eval().requires_grad_(False)
        found = self._stem.bn1(self._stem.conv_stem((pixels - 0.5) / 0.5))
        for block in self._stem.blocks[:3]:
            found = block(found)
        return torch.as_tensor(found)


class SegmenterForeground:
    """Everything that a segmentation network does not call background.

    Args:
        model: Any segmentation network (`load_checkpoint` of a folder or Hub id).
        background: Class ids that count as background.
    """

    def __init__(self, model: SegmentationModel, background: tuple[int, ...] = (0,)) -> None:
        from spellward.models import state_digest

        self._model, self._background = model, torch.tensor(background, dtype=torch.uint8)
        self.name = f"segmenter-{state_digest(model.network)[:32]}-{','.join(map(str, background))}"

    def __call__(self, images: Tensor) -> Tensor:
        height, width = images.shape[2:]
        if not len(images):
            return torch.zeros((0, height, width), dtype=torch.bool)
        ids = torch.from_numpy(
            np.concatenate([self._model.segment(images[row : row + 1]) for row in range(len(images))])
        )
        masks = ~torch.isin(ids, self._background)
        return F.interpolate(masks[:, None].float(), (height, width), mode="nearest")[:, 0] > 0.5


class GivenForeground:
    """Masks that are known for some images; others go to another foreground, and so do changed copies of the first, as
    training makes them before the edit.

    Args:
        masks: sha256 of an image's pixels (uint8 [3, H, W]) to bool [H, W].
        otherwise: For images that are not among them.
    """

    def __init__(self, masks: Mapping[bytes, Tensor], otherwise: Foreground | None = None) -> None:
        self._masks, self._otherwise = masks, otherwise or SaliencyForeground()
        digest = hashlib.sha256(b"".join(key + mask.numpy().tobytes() for key, mask in sorted(masks.items())))
        self.name = f"given-{digest.hexdigest()[:32]}-{self._otherwise.name}"

    @classmethod
    def of(cls, table: MaskTable, otherwise: Foreground | None = None) -> Self:
        """The masks of a table: all that is not background, also what has no class."""
        return cls(dict(_known(table)), otherwise)

    def __call__(self, images: Tensor) -> Tensor:
        found = [self._masks.get(_digest(image)) for image in images]
        unknown = [row for row, mask in enumerate(found) if mask is None]
        result = torch.zeros((len(images), *images.shape[2:]), dtype=torch.bool)
        for row, mask in enumerate(found):
            if mask is not None:
                result[row] = mask
        if unknown:
            result[unknown] = self._otherwise(images[unknown])
        return result


def _known(table: MaskTable) -> Iterator[tuple[bytes, Tensor]]:
    for start in range(0, len(table), 64):
        rows = slice(start, min(start + 64, len(table)))
        for image, mask in zip(table.images[rows], table.masks[rows][:, 0], strict=True):
            yield _digest(image), mask > 0


def _digest(image: Tensor) -> bytes:
    return hashlib.sha256(image.contiguous().numpy().tobytes()).digest()


def _distance_from_border(maps: Tensor) -> Tensor:
    """How far each cell of [B, C, h, w] is from the border's nearest quarters, divided by the largest; [B, h, w].

    The border is taken in four sides, since a picture's sky and ground are both background.
    """
    sides = (maps[:, :, 0], maps[:, :, -1], maps[:, :, :, 0], maps[:, :, :, -1])
    gaps = [(maps - side.mean(dim=2)[:, :, None, None]).square().sum(dim=1).sqrt() for side in sides]
    nearest = torch.stack(gaps).amin(dim=0)
    return nearest / nearest.amax(dim=(1, 2), keepdim=True).clamp(min=1e-6)


def _otsu(levels: np.ndarray) -> int:
    """The threshold between two kinds of levels (Otsu 1979)."""
    counts = np.bincount(levels.ravel(), minlength=_LEVELS + 1).astype(np.float64)
    below, total = counts.cumsum(), counts.sum()
    sums = (counts * np.arange(len(counts))).cumsum()
    above = total - below
    with np.errstate(divide="ignore", invalid="ignore"):
        gap = sums / below - (sums[-1] - sums) / above
        between = np.where((below > 0) & (above > 0), below * above * gap**2, 0.0)
    return int(between.argmax())
