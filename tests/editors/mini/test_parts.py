"""Text, network, sampler and the teacher's vocabulary."""

import numpy as np
import pytest
import torch

from spellward.editors.mini import vocabulary
from spellward.editors.mini.editor import WEIGHTS
from spellward.editors.mini.network import FOLD, EditorNetwork
from spellward.editors.mini.sampler import flow_steps
from spellward.editors.mini.text import FEATURES, TEXT_SIZE, TextEncoder


@pytest.fixture(scope="module")
def encoder() -> TextEncoder:
    return TextEncoder(WEIGHTS)


def test_text_vectors_have_unit_length_unless_there_are_no_words(encoder: TextEncoder) -> None:
    vectors = encoder.vectors(["with oil pastel", "🐉", "", "  "])
    assert vectors.shape == (4, TEXT_SIZE)
    assert vectors.norm(dim=1).tolist() == pytest.approx([1, 1, 0, 0], abs=1e-5)
    features = encoder.features(vectors)
    assert features.shape == (4, FEATURES)
    assert features.abs().max() < 1
    assert (features[2:] == 0).all()


def test_unknown_signs_do_not_collapse(encoder: TextEncoder) -> None:
    first, second = encoder.vectors(["🐉", "🦜"])
    assert float(first @ second) < 0.5


def test_held_out_wordings_lie_nearest_to_their_style(encoder: TextEncoder) -> None:
    centres = torch.stack(
        [
            encoder.vectors([t.format(w) for t in vocabulary.STYLE_TEMPLATES for w in phrase.wordings]).mean(0)
            for phrase in vocabulary.STYLES.values()
        ]
    )
    right = []
    for index, phrase in enumerate(vocabulary.STYLES.values()):
        vectors = encoder.vectors([t.format(w) for t in vocabulary.STYLE_TEMPLATES for w in phrase.held_out])
        right += ((vectors @ centres.T).argmax(1) == index).tolist()
    assert np.mean(right) > 0.85


def test_held_out_wordings_are_never_trained() -> None:
    phrases = [*vocabulary.STYLES.values(), *vocabulary.OBJECTS.values()]
    trained = {wording for phrase in phrases for wording in phrase.wordings}
    assert not trained & {wording for phrase in phrases for wording in phrase.held_out}
    assert len(vocabulary.STYLES) >= 20
    assert len(vocabulary.OBJECTS) >= 8


def test_a_fresh_network_is_the_identity() -> None:
    torch.manual_seed(0)
    network = EditorNetwork(channels=(16, 16, 32), blocks=(1, 1, 1), condition=32, canvas=4, canvas_size=8)
    source = torch.rand(2, 3 * FOLD * FOLD, 16, 24)
    vectors, features, codes = torch.rand(2, TEXT_SIZE), torch.rand(2, FEATURES), torch.zeros(2, 24)
    condition = network.conditions(vectors, features, codes)
    result = network(torch.randn_like(source), source, torch.zeros(2), condition, network.positions(codes, 32, 48))
    assert torch.allclose(result, source)


@pytest.mark.parametrize("steps", [1, 2, 5])
def test_sampler_agrees_with_an_euler_loop(steps: int) -> None:
    noise, source = torch.randn(2, 12, 4, 4), torch.randn(2, 12, 4, 4)

    class Halfway(torch.nn.Module):
        """Estimates the mean of where it is and the source, so that the path matters."""

        def forward(self, now: torch.Tensor, source: torch.Tensor, *_: object) -> torch.Tensor:
            return 0.5 * (now + source)

    *_, last = flow_steps(Halfway(), source, noise, torch.zeros(2, 1), torch.zeros(2, 1), steps)  # type: ignore[arg-type]
    now = noise.double()
    for step in range(steps):
        time = step / steps
        estimate = 0.5 * (now + source.double())
        velocity = (estimate - now) / (1 - time)
        now = now + velocity / steps
    assert torch.allclose(last.double(), estimate, atol=1e-5)


def test_teacher_answers_stay_pictures() -> None:
    pytest.importorskip("cv2")
    from spellward.editors.mini.training.teacher import OPERATORS, render

    assert set(OPERATORS) == set(vocabulary.STYLES)
    image = np.random.default_rng(0).random((64, 64, 3)).astype(np.float32)
    for style in OPERATORS:
        edited = render(style, image)
        assert edited.shape == image.shape
        assert edited.dtype == np.float32
        assert 0 <= edited.min() <= edited.max() <= 1
        assert np.abs(edited - image).mean() > 0.02, style
