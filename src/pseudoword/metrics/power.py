"""How many seeds or prompts would settle what a study leaves open."""

from collections.abc import Callable

from pseudoword.metrics.stats import Array, Resamples, Spread, half_width, spread

# Overall scores this near each other (on a scale where 1 is perfect) make no difference in use.
EQUIVALENT = 0.1
MOST = {"seeds": 10, "prompts": 60}
"""More than these are not advised."""
MOST_CONCEPTS = 50
_POWER = 0.84  # the normal quantile of 80 % power


def equivalent(difference: Array, sampled: Resamples) -> bool:
    """Whether values[0] is shown to be nearer to 0 than EQUIVALENT.

    Two one-sided tests at 5 % (Schuirmann 1987): the 90 % interval lies within the margin.
    """
    return bool(sampled.groups) and _within(abs(float(difference[0])), spread(difference, sampled))


def needed(
    difference: Array,
    sampled: Resamples,
    factor: str,
    same: bool = False,
    most: int | None = None,
) -> int | None:
    """How many "seeds" or "prompts" in all would probably tell the difference from 0.

    With `same`: would show that it makes no difference. For a true difference as seen, with 80 %
    power; None where more than `most` (MOST) would be needed, or the factor was not replicated.
    """
    now = {"seeds": sampled.seeds.shape[1], "prompts": sampled.prompts.shape[1]}[factor]
    found, reach = spread(difference, sampled), abs(float(difference[0]))
    enough: Callable[[float, Spread], bool] = _within if same else _separated
    if factor not in found.variance:
        return None
    sizes = range(now + 1, (most or MOST[factor]) + 1)
    return next((n for n in sizes if enough(reach, _planned(found, factor, now, n))), None)


def needed_together(
    difference: Array, sampled: Resamples, same: bool = False
) -> tuple[int, int] | None:
    """The same of seeds and prompts that grow by one factor; None also where one is no factor."""
    now = {"seeds": sampled.seeds.shape[1], "prompts": sampled.prompts.shape[1]}
    found, reach = spread(difference, sampled), abs(float(difference[0]))
    enough: Callable[[float, Spread], bool] = _within if same else _separated
    if set(found.variance) != set(now):
        return None
    for times in range(2, min(MOST[factor] // size for factor, size in now.items()) + 1):
        then = found
        for factor, size in now.items():
            then = _planned(then, factor, size, times * size)
        if enough(reach, then):
            return times * now["seeds"], times * now["prompts"]
    return None


def _planned(found: Spread, factor: str, now: int, planned: int) -> Spread:
    """The spread with more of one factor: its variance falls and its freedom rises."""
    share = now / planned
    return Spread(
        {**found.variance, factor: found.variance[factor] * share},
        {**found.freedom, factor: found.freedom[factor] + planned - now},
        found.twice * share,
    )


def _separated(reach: float, then: Spread) -> bool:
    return reach > half_width(then) + _POWER * then.standard_error


def _within(reach: float, then: Spread) -> bool:
    return reach + half_width(then, 0.90) < EQUIVALENT
