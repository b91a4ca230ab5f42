"""HTML pages about studies; written to a file, one needs no network and no other file."""

from sweep.report.page.shell import SCRIPTS, Shell
from sweep.report.page.write import study_page, write_comparison, write_report

__all__ = ["SCRIPTS", "Shell", "study_page", "write_comparison", "write_report"]
