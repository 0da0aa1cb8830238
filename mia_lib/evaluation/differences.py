"""Two measures beside each other: their difference with its interval, and whether it tells them apart."""

from math import hypot, inf, nan, sqrt

from mia_lib.evaluation.intervals import Measure


def difference(new: Measure, old: Measure) -> Measure:
    """`new` less `old`, with a 95 % interval made of theirs.

    Source: Zou and Donner, Statistics in Medicine 2008 (MOVER). It is that of two independent measures; where both rest on
    the same targets and recordings they rise and fall together, and it is too wide rather than too narrow.
    """
    gap = new.value - old.value
    low = gap - hypot(new.value - new.low, old.high - old.value)
    high = gap + hypot(new.high - new.value, old.value - old.low)
    return Measure(gap, low, high, min(new.n, old.n))


def ratio(new: Measure, old: Measure) -> Measure:
    """`new` over `old`, with a 95 % interval made of theirs; NaN where `old` may be zero, or nobody knows.

    Source: Donner and Zou, Statistics in Medicine 2012 (MOVER for ratios, eq. 8). It is that of two independent measures; see
    `difference`.
    """
    if not old.low > 0:
        return Measure(nan, nan, nan, min(new.n, old.n))
    product = new.value * old.value

    def end(own: float, other: float, sign: int) -> float:
        far = other * (2 * old.value - other)
        if far <= 0:
            return sign * inf
        return (product + sign * sqrt(max(product**2 - own * far * (2 * new.value - own), 0.0))) / far

    return Measure(new.value / old.value, end(new.low, old.high, -1), end(new.high, old.low, 1), min(new.n, old.n))


def compared(gap: Measure, margin: float) -> str:
    """`more` or `less` if the interval of a difference excludes zero, `as much` if it lies within `margin` of it.

    Everything else is `undecided`.
    """
    if gap.low > 0:
        return "more"
    if gap.high < 0:
        return "less"
    return "as much" if max(-gap.low, gap.high) <= margin else "undecided"


def at_least(measure: Measure, floor: float) -> Measure:
    """A measure whose value and ends lie at `floor` where they lie below it, such as what guessing gives."""
    value, low, high = (max(end, floor) for end in (measure.value, measure.low, measure.high))
    return Measure(value, low, high, measure.n)


def turned(measure: Measure) -> Measure:
    """A rate whose chance is one half, as an attacker has it who may turn the answer round."""
    if measure.value >= 0.5:
        return measure
    return Measure(1 - measure.value, 1 - measure.high, 1 - measure.low, measure.n)
