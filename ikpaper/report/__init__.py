"""The report: notebooks run into pages, and the figures and tables that they show."""

from ikpaper.report.outputs import Outputs, parameters

__all__ = ["Outputs", "parameters"]
