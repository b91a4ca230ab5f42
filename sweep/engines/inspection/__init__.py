"""What a trained network looks like from inside, on a few images, in plain numpy.

Neither Keras nor its backend takes part, so that nothing is built or compiled for a structure.
"""

from sweep.engines.inspection.inspector import Inspector

__all__ = ["Inspector"]
