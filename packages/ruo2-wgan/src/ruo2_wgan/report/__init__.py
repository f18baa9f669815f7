"""The report on a run: a verdict, its evidence and the training behind it, as one page and as text."""

from ruo2_wgan.report.page import write_report
from ruo2_wgan.report.summary import report_text, verdict_text

__all__ = ["report_text", "verdict_text", "write_report"]
