"""The look of all figures of a report: for print at their own size, readable without colour vision."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import matplotlib as mpl
from matplotlib.figure import Figure

from neuralizer_jax.files.atomic_file import written_whole
from neuralizer_jax.report.shown_names import BASELINE, SEEN, UNSEEN

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Colours that remain distinct without colour vision (Okabe and Ito, 2008; three more by Tol, 2021).
_BLUE, _RED, _GREEN, _PINK, _ORANGE, _SKY = "#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"
_WINE, _OLIVE, _INDIGO = "#882255", "#999933", "#332288"
_OTHERS = ((_PINK, "D"), (_SKY, "v"), (_ORANGE, "P"), (_WINE, "X"), (_OLIVE, "<"), (_INDIGO, ">"))

# Colour, marker, line; for other models those of `_OTHERS` in turn.
_MODELS = {SEEN: (_BLUE, "o", "-"), UNSEEN: (_RED, "s", "-"), BASELINE: (_GREEN, "^", "--")}

_STYLE = {
    "font.family": "DejaVu Sans",  # comes with matplotlib, so that text has the same size everywhere
    "font.size": 8,
    "axes.titlesize": 9,
    "axes.labelsize": 8,
    "xtick.labelsize": 8,
    "ytick.labelsize": 8,
    "legend.fontsize": 8,
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
    """Figures made and saved inside have the report's look."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def styles(models: Iterable[str]) -> dict[str, dict[str, str]]:
    """Colour, marker and line of each model: fixed for those of the paper, in turn for others."""
    chosen, others = {}, 0
    for model in models:
        if model in _MODELS:
            colour, marker, line = _MODELS[model]
        else:
            (colour, marker), line = _OTHERS[others % len(_OTHERS)], "-"
            others += 1
        chosen[model] = {"color": colour, "marker": marker, "linestyle": line}
    return chosen


def series_styles(number: int) -> list[dict[str, str]]:
    """Colours and markers of so many lines that are no models."""
    pairs = ((_BLUE, "o"), (_RED, "s"), (_GREEN, "^"), *_OTHERS)
    return [{"color": colour, "marker": marker} for colour, marker in (pairs[i % len(pairs)] for i in range(number))]


def sizes_axis(axes: "Axes", sizes: Sequence[int], names: Mapping[int, str] | None = None) -> None:
    """A logarithmic axis of context sizes, with a tick at each power of two from the least to the largest of them."""
    ticks = [2**power for power in range(max(sizes).bit_length()) if 2**power >= min(sizes)]
    ticks = sorted({*ticks, *(names or {})})
    axes.set_xscale("log", base=2)
    axes.set_xticks(ticks, [(names or {}).get(tick, str(tick)) for tick in ticks])
    axes.set_xticks([], minor=True)
    axes.set_xlim(min(sizes) / 2**0.4, max(sizes) * 2**0.4)


def save_figure(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Writes NAME.png (200 dots an inch) and NAME.svg into a folder: the same bytes of the same figure.

    Raises:
        InputError: where they cannot be written.
    """
    paths = [folder / f"{name}.png", folder / f"{name}.svg"]
    with paper_style():
        # The layout is found once, so that it is the same in both.
        figure.draw_without_rendering()
        figure.set_layout_engine("none")
        for path, metadata in zip(paths, ({"Software": None}, {"Date": None, "Creator": None}), strict=True):
            with written_whole(path) as temporary:
                figure.savefig(temporary, dpi=200, metadata=metadata)
    return paths
