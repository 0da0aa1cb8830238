"""Studies: what is compared on one dataset. Each is a `Study`: who trains on what, and who attacks whom.

`ShadowStudy` targets with shadow models of other people; `ReferenceStudy` models on halves of the same recordings;
`SpeakerStudy` the first with persons as examples; `DefenseEvaluation` one defense, on models of all these kinds.
"""

from mia_lib.studies.dataset import Dataset
from mia_lib.studies.defended import DefenseEvaluation
from mia_lib.studies.reference import ReferenceStudy
from mia_lib.studies.shadow import ShadowStudy
from mia_lib.studies.speaker import SpeakerStudy
from mia_lib.studies.study import Study

__all__ = ["Dataset", "DefenseEvaluation", "ReferenceStudy", "ShadowStudy", "SpeakerStudy", "Study"]
