"""Studies whose truth is known: scores of pictures drawn from effects of a given size.

A picture's score is the sum of the method's true score, the prompt's difficulty (shared by all
methods), the prompt's luck with this method, the luck of the training, of the training with this
prompt, and of the picture. Likeness and adherence are simulated on the floor-ceiling scale, where
the untouched model is 0 and 1, and then read as DINO and CLIP-T by the same code as a real study.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np

from pseudoword.metrics.design import BASE, Design, Evidence, MethodInfo, Prompt
from pseudoword.metrics.stats import Array, Resamples, resamples


@dataclass(frozen=True)
class Effects:
    """Standard deviations, where the way from floor to ceiling is 1.

    `prompt`, `seed`, `cell` and `picture` are of one method; `difficulty` is shared by all methods,
    and `base` is the untouched model's own, prompt by prompt.
    """

    seed: float
    prompt: float
    cell: float
    picture: float
    difficulty: float = 0.0
    base: float = 0.0


@dataclass(frozen=True)
class Profile:
    """What varies in likeness and in adherence, and how the two go together.

    `correlation` is that of the luck of a seed, a prompt and a cell; pictures' is none.
    """

    likeness: Effects
    adherence: Effects
    correlation: tuple[float, float, float] = (0.0, 0.0, 0.0)


def _plain(seed: float, prompt: float, cell: float, picture: float) -> Profile:
    """The same effects, 0.2 a unit, on both."""
    effects = Effects(0.2 * seed, 0.2 * prompt, 0.2 * cell, 0.2 * picture)
    return Profile(effects, effects)


PROFILES: dict[str, Profile] = {
    "as in the repeated study": Profile(
        Effects(0.10, 0.18, 0.08, 0.19, difficulty=0.17, base=0.13),
        Effects(0.02, 0.12, 0.10, 0.11, difficulty=0.15, base=0.09),
        correlation=(-0.85, -0.37, -0.41),
    ),
    "balanced": _plain(0.5, 1.0, 0.5, 1.0),
    "seeds vary most": _plain(1.0, 0.5, 0.3, 0.5),
    "prompts only": _plain(0.0, 1.0, 0.0, 0.5),
    "noise only": _plain(0.0, 0.0, 0.0, 1.0),
    "interaction": _plain(0.3, 0.3, 1.0, 0.5),
    "seeds vary little": _plain(0.2, 0.5, 0.3, 0.6),
}
"""The first is estimated from docs/study/scores.parquet (experiments/statistics/components.py)."""


@dataclass(frozen=True)
class Setup:
    """The size of a simulated study. Prompt 0 is the plain one, and the same in every study."""

    n_seeds: int = 3
    n_prompts: int = 10
    n_pictures: int = 4

    def sampled(self, draws: int = 0) -> Resamples:
        return resamples(self.n_seeds, self.basic.astype(np.int64), draws)

    @property
    def basic(self) -> np.ndarray:
        return np.arange(self.n_prompts) == 0


def simulate(
    profile: Profile,
    truth: Mapping[str, tuple[float, float]],
    setup: Setup,
    studies: int,
    sampled: Resamples,
    seed: int = 0,
) -> Iterator[tuple[Design, Evidence]]:
    """`studies` studies of methods whose true likeness and adherence are `truth`."""
    prompts = [Prompt(str(i), "{}", "setting" if i else "basic") for i in range(setup.n_prompts)]
    evidence = Evidence(
        scores=None,
        prompts=prompts,
        class_noun="mug",
        methods={name: MethodInfo(name, {}, {}) for name in truth},
        encoders={},
        ceiling={"dino": np.ones(2)},
        photos_clip_t={prompt.id: 0.0 for prompt in prompts},
    )
    pictures = list(range(setup.n_pictures))
    for study in range(studies):
        rng = np.random.default_rng([seed, study])
        design = Design(
            methods=[*truth, BASE],
            seeds=list(range(setup.n_seeds)),
            prompts=prompts,
            image_seeds=pictures,
            cells=_cells(profile, truth, setup, rng),
            basic=setup.basic,
            sampled=sampled,
        )
        yield design, evidence


def _cells(
    profile: Profile,
    truth: Mapping[str, tuple[float, float]],
    setup: Setup,
    rng: np.random.Generator,
) -> dict[str, dict[str, Array]]:
    """Per method and metric the scores (S, P, I) of one study."""
    n_seeds, n_prompts, n_pictures = setup.n_seeds, setup.n_prompts, setup.n_pictures
    kinds = (profile.likeness, profile.adherence)
    # Prompt 0 is the same in every study, so its difficulty is no luck.
    drawn = ~setup.basic
    difficulty = np.stack([k.difficulty * rng.normal(size=n_prompts) * drawn for k in kinds])
    cells = {}
    for method, levels in truth.items():
        of_seed, of_prompt, of_cell = (
            _pair(rng, shape, correlation)
            for shape, correlation in zip(
                ((n_seeds, 1, 1), (1, n_prompts, 1), (n_seeds, n_prompts, 1)),
                profile.correlation,
                strict=True,
            )
        )
        picture = rng.normal(size=(2, n_seeds, n_prompts, n_pictures))
        cells[method] = {
            metric: level
            + (hard + k.prompt * of_prompt[i, 0, :, 0] * drawn)[None, :, None]
            + k.seed * of_seed[i]
            + k.cell * of_cell[i]
            + k.picture * picture[i]
            for i, (metric, level, hard, k) in enumerate(
                zip(("dino", "clip_t"), levels, difficulty, kinds, strict=True)
            )
        }
    own = rng.normal(size=(2, n_prompts)) * drawn
    picture = rng.normal(size=(2, 1, n_prompts, n_pictures))
    cells[BASE] = {
        metric: level + (k.base * own[i])[None, :, None] + k.picture * picture[i]
        for i, (metric, level, k) in enumerate(
            zip(("dino", "clip_t"), (0.0, 1.0), kinds, strict=True)
        )
    }
    return cells


def _pair(rng: np.random.Generator, shape: tuple[int, ...], correlation: float) -> Array:
    """Two standard normal arrays of that shape with that correlation: (2, *shape)."""
    first, second = rng.normal(size=(2, *shape))
    return np.stack([first, correlation * first + np.sqrt(1 - correlation**2) * second])
