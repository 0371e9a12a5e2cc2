"""The cases that have a world of their own, by the fault's name."""

from collections.abc import Mapping

from sluice.chaos.apart.backlog import backlog
from sluice.chaos.apart.case import Case

CASES: Mapping[str, Case] = {"backlog": backlog}
