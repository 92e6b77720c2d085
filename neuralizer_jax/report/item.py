"""A part of a report: a figure or a table, with its title and caption."""

from dataclasses import dataclass

from matplotlib.figure import Figure

from neuralizer_jax.report.table_formats import Table


@dataclass(frozen=True, eq=False)
class Item:
    """A part of a report: a figure, or a table with the same name and caption. The name is that of its files."""

    name: str
    title: str
    caption: str
    content: Figure | Table


def table_item(title: str, table: Table) -> Item:
    """A part that is a table."""
    return Item(table.name, title, table.caption, table)
