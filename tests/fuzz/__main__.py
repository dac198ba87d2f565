"""Reads files with headers at random and prints what became of them."""

import argparse
import collections
import sys

from .cases import FORMATS, examine, failed
from .workers import run


def main() -> int:
    """Prints a table of verdicts by format, and the faults; 1 where there are any."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--cases", type=int, default=1000, help="how many, of all formats together")
    parser.add_argument("--formats", nargs="+", choices=FORMATS, default=list(FORMATS))
    parser.add_argument("--first", type=int, default=0, help="the number of the first")
    parser.add_argument("--only", nargs="+", help='these alone, as in "nifti:17"')
    parser.add_argument("--processes", type=int, default=2)
    given = parser.parse_args()
    cases = given.only or [
        f"{form}:{number}"
        for number in range(given.first, given.first + -(-given.cases // len(given.formats)))
        for form in given.formats
    ]
    table, faults = collections.Counter(), 0
    for case, answer, failure in run(examine, cases, given.processes):
        finding = failed(case, failure) if failure else answer
        table[case.split(":")[0], finding.verdict.name] += 1
        faults += finding.verdict.fault
        if finding.verdict.fault or given.only:
            print(finding, flush=True)
    print()
    for (form, verdict), count in sorted(table.items()):
        print(f"{form:12} {verdict:45} {count:6}")
    print(f"{len(cases)} cases, {faults} faults")
    return int(faults > 0)


if __name__ == "__main__":
    sys.exit(main())
