"""The float model of a checkpoint, block by block: hidden states, the inputs of matrices, logits.

It reads rows of any source as they are needed and computes in float32 with one order of operations, so that every
machine gets the same bits (docs/design/reference.md).
"""

from belle_edge.convert.reference.model_inputs import ModelInput, Observe
from belle_edge.convert.reference.past_tokens import PastTokens
from belle_edge.convert.reference.reference_model import ReferenceModel
from belle_edge.convert.reference.streamed_matrices import Rows

__all__ = ["ModelInput", "Observe", "PastTokens", "ReferenceModel", "Rows"]
