"""Trains K models at once: what they train on (`Job`), what they minimise (`Objective`), and what comes of it."""

from mia_lib.training.job import Job, TrainingConfig
from mia_lib.training.objective import Objective
from mia_lib.training.recipe import Recipe, train_defended
from mia_lib.training.train import train_models
from mia_lib.training.trained import TrainedModels

__all__ = ["Job", "Objective", "Recipe", "TrainedModels", "TrainingConfig", "train_defended", "train_models"]
