"""Tables and statistics that the pages show; one module a page or subject."""

from ikpaper.report.tables.base import NETWORKS, joined, label

__all__ = ["NETWORKS", "joined", "label"]
