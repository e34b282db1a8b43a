"""Settings: their groups, and their values from and to text."""

from attr2face.settings.groups import (
    Alignment,
    AppearanceFit,
    Cache,
    CuttingOut,
    Database,
    EigenfaceBasis,
    Evaluation,
    Finetuning,
    Generation,
    Judging,
    MixtureFit,
    Pretraining,
    Rendering,
    Settings,
)
from attr2face.settings.values import FIELDS, as_dict, as_text, leaves, parse, replaced, switch

__all__ = [
    "FIELDS",
    "Alignment",
    "AppearanceFit",
    "Cache",
    "CuttingOut",
    "Database",
    "EigenfaceBasis",
    "Evaluation",
    "Finetuning",
    "Generation",
    "Judging",
    "MixtureFit",
    "Pretraining",
    "Rendering",
    "Settings",
    "as_dict",
    "as_text",
    "leaves",
    "parse",
    "replaced",
    "switch",
]
