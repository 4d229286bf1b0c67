"""The two unlike views of BYOL (Grill et al., NeurIPS 2020, appendix B), on which MoCo v3 learns, too."""

from __future__ import annotations

from engine.augment.views import Blur, Crop, Grey, Jitter, Solarize, View


def byol(
    size: int | None = None, area: tuple[float, float] = (0.08, 1.0), flip: float = 0.5, blur: float = 1.0,
    solarize: float = 0.2,
) -> tuple[View, View]:  # fmt: skip
    """Crop, flip, a mild jitter, grey; then the first view is blurred with the chance `blur`, the second with a tenth
    of it, and only the second is solarised."""
    steps = Crop(area, flip=flip, size=size), Jitter(0.4, 0.4, 0.2, 0.1, p=0.8), Grey(0.2)
    return View((*steps, Blur(blur))), View((*steps, Blur(blur / 10), Solarize(solarize)))
