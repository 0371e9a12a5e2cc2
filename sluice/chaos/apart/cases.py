"""The cases that have a world of their own, by the fault's name."""

from collections.abc import Mapping

from sluice.chaos.apart.backlog import backlog
from sluice.chaos.apart.case import Case
from sluice.chaos.apart.own import clock_skew, disk_full, fresh_group, leader_kill, model_down_long, network_cut

CASES: Mapping[str, Case] = {
    "fresh-group": fresh_group,
    "leader-kill": leader_kill,
    "network-cut": network_cut,
    "clock-skew": clock_skew,
    "disk-full": disk_full,
    "backlog": backlog,
    "model-down-long": model_down_long,
}
