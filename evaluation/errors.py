"""What can go wrong when a sample is measured."""


class EvaluationError(Exception):
    """A number could not be computed honestly.

    EvaluationError
    ├── BadSample           rows that are empty, not finite, of the wrong shape, or labels that are not 0 and 1
    ├── BadRule             a parameter out of its range (bins, probability, threshold)
    └── ReferenceMismatch   rows do not have the features the reference was fitted on
    """


class BadSample(EvaluationError):
    """The rows, scores or labels cannot be measured; the message names the first one and says how many there are."""


class BadRule(EvaluationError):
    """A parameter lies outside the range in which the statistic is defined."""


class ReferenceMismatch(EvaluationError):
    """The rows compared with a reference are not rows of the same features."""
