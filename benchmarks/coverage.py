"""How often an interval over images holds the value that it is of: ``python -m benchmarks.coverage SOURCE [OPTIONS]``.

A network is measured on many images. Then few of them are taken at random again and again, and it is counted how often
the interval of the few holds the mean value of as many, and the value of all. The two differ where a value depends on
the number of images, as AP does, which is too high where it is measured on few. Beside the interval in use stand those
of the bootstrap (Efron and Tibshirani, "An Introduction to the Bootstrap", 1993). What has no interval is left out.

The source is either the weights of a run on the embedded data set, of which some thousand other images are drawn, or a
folder of :mod:`benchmarks.crossvalidation`, of which the first seed is taken.
"""

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy
from numpy import ndarray
from scipy.stats import norm
from tqdm import tqdm

from benchmarks.crossvalidation import measured
from onehead_avl.command import run_command
from onehead_avl.evaluation.intervals import jackknife_intervals, measure
from onehead_avl.kinds.kind import Metric
from onehead_avl.model.saved import load_model
from onehead_avl.report.table import layout_table
from scenarios.dataset import EvaluationSet
from scenarios.drawn.embedded import RECIPES, drawn

RESAMPLES = 300
OTHERS = 1
"""The number of the embedded data set that the images are of: not the one that is learned."""

Values = Callable[[Sequence[int]], ndarray]
"""The values of some images."""


def main() -> None:
    form = argparse.RawDescriptionHelpFormatter
    parser = argparse.ArgumentParser(prog="python -m benchmarks.coverage", description=__doc__, formatter_class=form)
    parser.add_argument("source", type=Path, metavar="SOURCE")
    parser.add_argument("--few", type=int, default=60, metavar="N", help="images that are taken; default: 60")
    parser.add_argument("--all", type=int, default=4000, metavar="N", help="images that are drawn; default: 4000")
    parser.add_argument("--times", type=int, default=300, metavar="N", help="default: 300")
    arguments = parser.parse_args()
    if arguments.source.is_dir():
        metrics = cross_validated(arguments.source)
    else:
        metrics = [on_drawn_images(arguments.source, kind, arguments.all) for kind in RECIPES]
    rows = [["value", "of all", f"mean of {arguments.few}", "interval", "holds the mean", "holds that of all", "width"]]
    for metric in metrics:
        rows += covered(metric, arguments.few, arguments.times)
    print(layout_table(rows))


def cross_validated(folder: Path) -> list[Metric]:
    """The metrics of a cross-validation at its end, each of which has counted the images of all folds."""
    of_seeds = [metrics for moment, metrics in measured(folder).items() if moment.endswith("at the end")]
    return [next(iter(metrics.values())) for metrics in of_seeds]


def on_drawn_images(weights: Path, kind: str, images: int) -> Metric:
    """The metric of a kind, which has counted so many drawn images."""
    saved = load_model(weights)
    task = [part.kind.name for part in saved.layout.parts].index(kind)
    part = saved.layout.parts[task]
    metric = part.kind.metric(part.classes)
    samples = drawn(kind, "val", size=saved.image_size, count=images, seed=OTHERS)
    measure(saved.model, EvaluationSet(samples, task, saved.image_size), part, metric, batch_size=16)
    return metric


def covered(metric: Metric, few: int, times: int) -> list[list[str]]:
    """Rows of the table: for each value and interval, how often it holds what it is of."""

    def values(images: Sequence[int]) -> ndarray:
        return numpy.array([metric.compute(images)[name] for name in metric.names], dtype=float)

    rng = numpy.random.default_rng(0)
    taken = [rng.integers(len(metric), size=few) for _ in range(times)]
    found = numpy.array([values(images.tolist()) for images in taken])
    ends: dict[str, list[ndarray]] = {}
    for images, value in zip(tqdm(taken, leave=False), found, strict=True):
        for name, interval in intervals(metric, images, value, values, rng).items():
            ends.setdefault(name, []).append(interval)
    mean, whole = found.mean(axis=0), values(range(len(metric)))
    rows = []
    for i, called in enumerate(metric.names):
        for name, each in ends.items():
            low, high = (both := numpy.array(each)[:, :, i])[~numpy.isnan(both[:, 0])].T
            held = [numpy.mean((low <= truth[i]) & (truth[i] <= high)) for truth in (mean, whole)]
            shares = [f"{share:.0%}" for share in held]
            rows.append([called, f"{whole[i]:.3f}", f"{mean[i]:.3f}", name, *shares, f"{numpy.mean(high - low):.3f}"])
    return rows


def intervals(
    metric: Metric, images: ndarray, value: ndarray, values: Values, rng: numpy.random.Generator
) -> dict[str, ndarray]:
    """The ends ``(2, V)`` of the intervals of some images; those of a value without spread are no numbers."""
    n = len(images)
    used = jackknife_intervals(
        dict(zip(metric.names, value.tolist(), strict=True)), lambda some: metric.compute(images[some].tolist()), n
    )
    drawn = numpy.array([values(images[rng.integers(n, size=n)].tolist()) for _ in range(RESAMPLES)])
    left_out = numpy.array([values(numpy.delete(images, i).tolist()) for i in range(n)])
    quantiles = numpy.nanquantile(drawn, [0.025, 0.975], axis=0)
    found = {
        "jackknife (in use)": numpy.array([used[name] or (numpy.nan, numpy.nan) for name in metric.names]).T,
        "percentile bootstrap": quantiles,
        "basic bootstrap": 2 * value - quantiles[::-1],
        "BCa bootstrap": bias_corrected(value, drawn, left_out),
    }
    return {name: numpy.where(drawn.std(axis=0) > 0, ends, numpy.nan) for name, ends in found.items()}


def bias_corrected(value: ndarray, drawn: ndarray, left_out: ndarray) -> ndarray:
    """The ends of the bias-corrected and accelerated interval (Efron, 1987).

    Args:
        value: ``(V,)``
        drawn: ``(R, V)`` the values of resampled images.
        left_out: ``(n, V)`` the values without each image.
    """
    below = ((drawn < value) + 0.5 * (drawn == value)).mean(axis=0)
    bias = norm.ppf(below.clip(0.5 / len(drawn), 1 - 0.5 / len(drawn)))
    distance = left_out.mean(axis=0) - left_out
    acceleration = (distance**3).sum(axis=0) / (6 * (distance**2).sum(axis=0) ** 1.5 + sys.float_info.min)
    ends = []
    for z in norm.ppf([0.025, 0.975]):
        at = norm.cdf(bias + (bias + z) / (1 - acceleration * (bias + z)))
        ends.append([numpy.quantile(drawn[:, i], share) for i, share in enumerate(at)])
    return numpy.array(ends)


if __name__ == "__main__":
    sys.exit(run_command(main))
