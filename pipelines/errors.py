"""What can go wrong in the pipelines.

PipelineError
├── NotEnoughData       too few rows, days or classes to train on
├── BadRows             rows or labels of the wrong shape or type, or not finite
├── DamagedPartition    a cell that the gap scan refuses
├── GateRefused         a model that did not pass the gates
├── BadLineage          a version whose record of what it learned from is not what it was registered with
├── ExportError         a booster that the exact exporter cannot carry
└── ClusterUnavailable  the Dask cluster that training is to run on does not answer
"""


class PipelineError(Exception):
    """Base of every error that a pipeline raises on purpose."""


class NotEnoughData(PipelineError):
    """There is too little, or too uniform, data to do what was asked."""


class BadRows(PipelineError):
    """Rows or labels cannot be trained on or compared as they are; the message names the first bad one."""


class DamagedPartition(PipelineError):
    """The gap scan refuses this partition; backfill it first."""


class GateRefused(PipelineError):
    """The model did not pass the gates that stand before the registry."""


class BadLineage(PipelineError):
    """What is said to have been learned from is not what the version was registered with."""


class ExportError(PipelineError):
    """The booster holds something that the exact ONNX exporter cannot carry."""


class ClusterUnavailable(PipelineError):
    """The Dask cluster that training is to run on does not answer."""
