"""What a task asks of a model of the zoo, one module per task."""

from tfreg.models.base import Model
from tfreg.models.classification import Classification, ClassificationModel
from tfreg.models.features import FeatureModel
from tfreg.models.fusion import Fusion, FusionModel
from tfreg.models.pose import Pose, PoseModel
from tfreg.models.registration import RegistrationModel

__all__ = [
    "Classification",
    "ClassificationModel",
    "FeatureModel",
    "Fusion",
    "FusionModel",
    "Model",
    "Pose",
    "PoseModel",
    "RegistrationModel",
]
