"""Figures against what they grow with: a table, the line through each, and a plot."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np


def as_markdown(what: str, at: Sequence[float], curves: Mapping[str, Sequence[float]]) -> str:
    """One column per point of `at`, and what one more `what` adds by the line through them."""
    lines = [f"| {what}s | {' | '.join(f'{x:,}' for x in at)} | each {what} adds |"]
    lines.append("| --- " + "| ---: " * (len(at) + 1) + "|")
    for title, values in curves.items():
        slope = np.polyfit(at, values, 1)[0] if len(values) > 1 else 0.0
        lines.append(f"| {title} | {' | '.join(f'{value:.3g}' for value in values)} | {slope:.2g} |")
    return "\n".join(lines)


def plot(path: Path, title: str, what: str, at: Sequence[float], curves: Mapping[str, Sequence[float]]) -> None:
    """Each curve against `at`, from nought, with the line through it; SVG, of the same bytes for the same figures."""
    import matplotlib as mpl

    mpl.use("svg")
    mpl.rcParams.update({"svg.hashsalt": "provenance", "svg.fonttype": "none", "font.family": "sans-serif"})
    from matplotlib import pyplot

    height = -(-len(curves) // 3)
    drawn, rows = pyplot.subplots(height, 3, figsize=(10, 2.75 * height), layout="constrained", squeeze=False)
    for axis in rows.flat[len(curves) :]:
        axis.set_axis_off()
    for axis, (name, values) in zip(rows.flat, curves.items(), strict=False):
        axis.plot(at, values, "ks-")
        if len(values) > 1:
            axis.plot(at, np.polyval(np.polyfit(at, values, 1), at), "k:")
        axis.set_ylim(bottom=0)
        axis.set_title(name, loc="left", fontsize=9)
        axis.set_xlabel(f"{what}s", fontsize=8)
        axis.tick_params(labelsize=8)
        for side in ("right", "top"):
            axis.spines[side].set_visible(False)
    drawn.savefig(path, metadata={"Date": None, "Title": title})
    pyplot.close(drawn)
