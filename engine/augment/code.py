"""The code that builds the same policy elsewhere, as text to copy: torchvision's, or timm's where torchvision has none.

Given the same decisions, torchvision.transforms.v2 makes the same picture of uint8, but for a level of 255 after color,
sharpness and autocontrast, which it rounds otherwise, and for pixels that solarize finds exactly at its threshold.
"""

from __future__ import annotations

from textwrap import fill, indent

from engine.augment.augmix import AugMix
from engine.augment.autoaugment import AutoAugment
from engine.augment.magnitudes import magnitudes
from engine.augment.operations import OPERATIONS
from engine.augment.policy import Policy
from engine.augment.randaugment import RandAugment
from engine.augment.trivialaugment import TrivialAugment

TIMM = {
    "posterize": "Posterize", "solarize": "Solarize", "color": "Color", "contrast": "Contrast",
    "brightness": "Brightness", "sharpness": "Sharpness", "autocontrast": "AutoContrast", "equalize": "Equalize",
    "rotate": "Rotate", "shear_x": "ShearX", "shear_y": "ShearY", "translate_x": "TranslateX",
    "translate_y": "TranslateY",
}  # fmt: skip
"""timm's names of RandAugment's operations but the identity, which it lacks."""
INCREASING = {"posterize", "solarize", "color", "contrast", "brightness", "sharpness"}
"""Those that timm has twice, the second time with `Increasing` behind the name."""


def code(policy: Policy) -> str:
    """Python that defines `transform`, of one picture: a uint8 tensor for torchvision, an image of Pillow for timm."""
    match policy:
        case RandAugment(scale="torchvision"):
            return _torchvision(_randaugment(policy))
        case RandAugment():
            return _timm(policy)
        case AutoAugment():
            return _torchvision(f"v2.AutoAugment(v2.AutoAugmentPolicy.{policy.policy.upper()}, {_warps(policy)})")
        case TrivialAugment():
            return _torchvision(f"v2.TrivialAugmentWide({_warps(policy)})")
        case AugMix():
            return _torchvision(
                f"v2.AugMix(severity={policy.severity}, mixture_width={policy.width}, chain_depth={policy.depth}, "
                f"alpha={policy.alpha}, all_ops={policy.all_operations}, {_warps(policy)})"
            )
    raise ValueError(f"policy: no library is known to have {type(policy).__name__}")


def _torchvision(built: str) -> str:
    return f"from torchvision.transforms import v2\n\ntransform = {built}\n"


def _randaugment(policy: RandAugment) -> str:
    """torchvision applies every operation drawn; where p is below 1, each is one RandAugment applied at random."""
    if policy.p == 1:
        return f"v2.RandAugment(num_ops={policy.n}, magnitude={policy.m}, {_warps(policy)})"
    one = f"v2.RandAugment(num_ops=1, magnitude={policy.m}, {_warps(policy)})"
    return f"v2.Compose([v2.RandomApply([{one}], p={policy.p})] * {policy.n})"


def _warps(policy: Policy) -> str:
    # Given 0, torchvision would darken bilinear borders twice; without a fill it draws what we draw.
    fills = list(policy.fill) if isinstance(policy.fill, tuple) else [policy.fill]
    outside = (fills if len(fills) > 1 else fills[0]) if any(fills) else None
    return f"interpolation=v2.InterpolationMode.{policy.interpolation.upper()}, fill={outside}"


def _timm(policy: RandAugment) -> str:
    """A draw of the identity, which timm lacks, is an operation that is not applied: p becomes 13/14 of itself."""
    share = policy.p * len(TIMM) / len(OPERATIONS)
    string = f"rand-m{policy.m}-n{policy.n}-p{share:.6f}" + ("-mmax30" if policy.scale == "tf" else "")
    grey = tuple(round(each) for each in (policy.fill if isinstance(policy.fill, tuple) else (policy.fill,) * 3))
    moves = "'translate_const': 100, " if policy.scale == "tf" else ""
    names = fill(", ".join(f"'{_timm_name(name, policy)}'" for name in TIMM), 92)
    own = f"rand-m{policy.m}-n{policy.n}" + ("-inc1" if policy.scale == "timm-inc" else "")
    says = (
        "# torchvision has no such scale, and TensorFlow's own code is for its tensors. timm has the same table."
        if policy.scale == "tf"
        else f"# torchvision has no such scale. timm's own '{own}' has Invert and SolarizeAdd too and no identity,\n"
        "# and applies half of what it draws."
    )
    if magnitudes(policy.scale, (1, 1))["posterize"].values[policy.m] == 0:
        says += (
            "\n# Here posterize keeps 0 bits: black with us and with older releases of Pillow; newer ones refuse it."
        )
    return (
        f"{says}\nfrom PIL import Image\nfrom timm.data.auto_augment import rand_augment_transform\n\n"
        f"options = {{{moves}'img_mean': {grey}, 'interpolation': Image.Resampling.{policy.interpolation.upper()}}}\n"
        f"transform = rand_augment_transform(\n    '{string}', options,\n"
        f"    transforms=[\n{indent(names, ' ' * 8)},\n    ],\n)\n"
    )


def _timm_name(name: str, policy: RandAugment) -> str:
    if policy.scale == "timm-inc" and name in INCREASING:
        return f"{TIMM[name]}Increasing"
    return TIMM[name] + ("Rel" if name.startswith("translate") and policy.scale != "tf" else "")
