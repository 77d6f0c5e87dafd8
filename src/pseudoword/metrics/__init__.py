"""What is measured: one row a metric, with words for people. Importing this is cheap."""

from pseudoword.metrics.metric import Metric, Role
from pseudoword.metrics.of_pictures import DRIFT, PICTURES, WITHIN
from pseudoword.metrics.of_sets import SETS, TRUTH

__all__ = ["METRICS", "Metric", "Role"]

METRICS: dict[str, Metric] = {**PICTURES, **WITHIN, **SETS, **DRIFT, **TRUTH}
