"""Every word of the toybox world, and what it looks like."""

CLASSES = (
    "ball", "cube", "mug", "bottle", "car", "house", "dog", "duck",
    "chair", "robot", "mushroom", "lamp", "teapot", "tree", "boat", "snowman",
)  # fmt: skip

COLOURS: dict[str, tuple[float, float, float]] = {
    "red": (0.85, 0.08, 0.08),
    "orange": (0.98, 0.50, 0.05),
    "yellow": (0.98, 0.86, 0.10),
    "green": (0.12, 0.62, 0.16),
    "cyan": (0.10, 0.80, 0.82),
    "blue": (0.10, 0.22, 0.85),
    "purple": (0.48, 0.12, 0.70),
    "pink": (0.98, 0.52, 0.72),
    "brown": (0.42, 0.24, 0.10),
    "white": (0.95, 0.95, 0.95),
    "grey": (0.50, 0.50, 0.52),
    "black": (0.07, 0.07, 0.08),
}

PATTERNS = ("plain", "striped", "spotted", "checked")

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
    "floor": "on a wooden floor",
    "moon": "on the moon",
    "water": "on the water",
}

STYLES: dict[str, str] = {
    "photo": "a photo of",
    "sketch": "a pencil sketch of",
    "oil": "an oil painting of",
    "pixel": "a pixel art picture of",
}

DETAILS = ("none", "band", "split", "emblem")
"""Surface details that no caption can say."""

WORDS = tuple(
    dict.fromkeys(
        [*CLASSES, *COLOURS, *PATTERNS[1:]]
        + [word for phrase in [*SETTINGS.values(), *STYLES.values()] for word in phrase.split()]
        + "a wearing hat next to".split()
    )
)
