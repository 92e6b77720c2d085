"""The look of a report's figures: for print at their own size, readable without colour vision."""

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from itertools import cycle, islice
from pathlib import Path
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
from matplotlib.figure import Figure

from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.report.shown_names import BASELINE, SEEN, UNSEEN, shown_size

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that remain distinct without colour vision (Okabe and Ito, 2008; three more by Tol, 2021).
_BLUE, _RED, _GREEN, _PINK, _ORANGE, _SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
_WINE, _OLIVE, _INDIGO = "#882255", "#999933", "#332288"
_OTHERS = ((_PINK, "D"), (_SKY, "v"), (_ORANGE, "P"), (_WINE, "X"), (_OLIVE, "<"), (_INDIGO, ">"))

# Colour, marker and line style; other models take those of `_OTHERS` in turn.
_MODELS = {SEEN: (_BLUE, "o", "-"), UNSEEN: (_RED, "s", "-"), BASELINE: (_GREEN, "^", "--")}

# Keywords of a line.
Look = dict[str, Any]

_STYLE: dict[str, Any] = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so text has the same size everywhere
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.linewidth": 0.6,
    "axes.edgecolor": "0.3",
    "xtick.major.width": 0.6,
    "ytick.major.width": 0.6,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "axes.axisbelow": True,
    "grid.color": "0.9",
    "grid.linewidth": 0.6,
    "lines.linewidth": 1.3,
    "lines.markersize": 4,
    "legend.frameon": False,
    "legend.handlelength": 1.8,
    "legend.columnspacing": 1.4,
    "svg.hashsalt": "neuralizer",
    "text.parse_math": False,  # a dollar in a name is a dollar
}


@contextmanager
def paper_style() -> Iterator[None]:
    """A context in which figures are made and saved with the report's look."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)  # type: ignore[arg-type]  # stubs list the keys
        yield


def model_looks(models: Iterable[str]) -> dict[str, Look]:
    """Colour, marker and line style of each model: fixed for those of the paper, in turn for others."""
    looks, others = {}, cycle(_OTHERS)
    for model in models:
        colour, marker, line = _MODELS.get(model) or (*next(others), "-")
        looks[model] = {"color": colour, "marker": marker, "linestyle": line}
    return looks


def series_looks(number: int) -> list[Look]:
    """Colours and markers of lines that are not models."""
    pairs = cycle(((_BLUE, "o"), (_RED, "s"), (_GREEN, "^"), *_OTHERS))
    return [{"color": colour, "marker": marker} for colour, marker in islice(pairs, number)]


def axis_place(size: float, sizes: Sequence[float]) -> float:
    """Where a size stands on the axis: "all" (infinity) at twice the largest number."""
    return 2 * max((size for size in sizes if not math.isinf(size)), default=0.5) if math.isinf(size) else size


def sizes_axis(axes: "Axes", sizes: Sequence[float]) -> None:
    """A logarithmic axis of context sizes with a tick at each power of two, and at other sizes that have room."""
    least, most = min(sizes), max((size for size in sizes if not math.isinf(size)), default=0)
    ticks: dict[float, str] = {2.0**power: str(2**power) for power in range(20) if least <= 2**power <= most}
    for size in sizes:
        place = axis_place(size, sizes)
        if all(abs(math.log2(place / tick)) > 0.45 for tick in ticks):
            ticks[place] = shown_size(size)
    axes.set_xscale("log", base=2)
    axes.set_xticks(list(ticks), list(ticks.values()))
    axes.set_xticks([], minor=True)
    places = [axis_place(size, sizes) for size in sizes]
    axes.set_xlim(min(places) / 2**0.4, max(places) * 2**0.4)


def save_figure(figure: Figure, folder: Path, name: str, endings: Sequence[str] = (".png", ".svg")) -> list[Path]:
    """Writes NAME.png (200 dots an inch) and NAME.svg into a folder; the same figure gives the same bytes.

    Raises:
        InputError: if they cannot be written.
    """
    paths = [folder / f"{name}{ending}" for ending in endings]
    with paper_style():
        # The layout is computed once, so that it is the same in both.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for path in paths:
            metadata = {"Software": None} if path.suffix == ".png" else {"Date": None, "Creator": None}
            with written_whole(path) as temporary:
                figure.savefig(temporary, dpi=200, metadata=metadata)
    return paths
