"""Tables on a terminal."""

from collections.abc import Sequence


def aligned(
    header: Sequence[str], rows: Sequence[Sequence[str]], numbers: Sequence[int] = ()
) -> str:
    """A table of aligned columns, two blanks apart.

    Args:
        header: a word or two per column.
        rows: as many texts per row.
        numbers: indices of the columns that are aligned to the right.

    Returns:
        Lines without a blank at their end.

    Example:

    >>> print(aligned(("label", "dice"), [("1", "0.9"), ("12", "0.85")], numbers=(0, 1)))
    label  dice
        1   0.9
       12  0.85
    """
    lines = [[str(cell) for cell in row] for row in (header, *rows)]
    widths = [max(len(line[column]) for line in lines) for column in range(len(header))]
    return "\n".join(
        "  ".join(
            cell.rjust(width) if column in numbers else cell.ljust(width)
            for column, (cell, width) in enumerate(zip(line, widths, strict=True))
        ).rstrip()
        for line in lines
    )
