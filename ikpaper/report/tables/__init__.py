"""Tables and statistics that the pages show; one module a page or subject."""

from ikpaper.format import joined
from ikpaper.report.tables.base import NETWORKS, label

__all__ = ["NETWORKS", "joined", "label"]
