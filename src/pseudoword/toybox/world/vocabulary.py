"""What the toybox world can say: every class, colour, pattern, setting and style with its words."""

RGB = tuple[float, float, float]

CLASSES: tuple[str, ...] = (
    "ball",
    "cube",
    "mug",
    "bottle",
    "car",
    "house",
    "dog",
    "duck",
    "chair",
    "robot",
    "mushroom",
    "lamp",
    "teapot",
    "tree",
    "boat",
    "snowman",
)

COLOURS: dict[str, RGB] = {
    "red": (0.84, 0.08, 0.08),
    "orange": (0.98, 0.50, 0.04),
    "yellow": (0.97, 0.88, 0.12),
    "green": (0.10, 0.58, 0.15),
    "cyan": (0.12, 0.80, 0.84),
    "blue": (0.10, 0.22, 0.85),
    "purple": (0.50, 0.12, 0.70),
    "pink": (0.98, 0.50, 0.74),
    "brown": (0.42, 0.23, 0.09),
    "white": (0.95, 0.95, 0.94),
    "grey": (0.50, 0.50, 0.52),
    "black": (0.06, 0.06, 0.07),
}
"""Components in [0, 1], display-referred (sRGB), as they appear in full light."""

PATTERNS: tuple[str, ...] = ("plain", "striped", "spotted", "checked")
"""The first is what a toy is when nothing is said."""

SETTINGS: dict[str, str] = {
    "snow": "in the snow",
    "beach": "on the beach",
    "desert": "in the desert",
    "grass": "on the grass",
    "jungle": "in the jungle",
    "night": "at night",
    "city": "in the city",
    "kitchen": "in a kitchen",
    "rug": "on a rug",
    "wooden floor": "on a wooden floor",
    "moon": "on the moon",
    "water": "on the water",
}
"""Each setting with the phrase that says it."""

STYLES: tuple[str, ...] = ("photo", "pencil sketch", "oil painting", "pixel art")
"""The first is what a picture is when nothing is said."""

HAT_WORDS = ("wearing", "a", "{colour}", "hat")
NEIGHBOUR_WORDS = ("next", "to", "a", "{colour}", "ball")

DETAILS: tuple[str, ...] = (
    "none",
    "band",
    "twin bands",
    "top",
    "side",
    "emblem",
    "sash",
)
"""Surface details that no caption can say; they make a toy a particular one."""

WORDS: tuple[str, ...] = tuple(
    dict.fromkeys(
        word
        for phrase in (
            *CLASSES,
            *COLOURS,
            *PATTERNS[1:],
            *SETTINGS.values(),
            *(f"a {style} of" for style in STYLES),
            *HAT_WORDS,
            *NEIGHBOUR_WORDS,
        )
        for word in phrase.split()
        if not word.startswith("{")
    )
)
"""Every word that a caption or a prompt of the grammar can use, once each."""
