"""What plain spreadsheet formulas give, for workbooks that were saved without values."""

from understudy.evaluation.deliverables.formulas.computing import computed

__all__ = ["computed"]
