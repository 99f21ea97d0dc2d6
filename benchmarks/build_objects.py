"""Builds the library of objects that the object editor adds to pictures, from Debian's openclipart-png.

    python benchmarks/build_objects.py

Writes `objects.png` (one row of 80 px sprites with alpha) and `README.md` into src/spellward/editors/objects/library.
"""

from __future__ import annotations

import io
from pathlib import Path

from PIL import Image

from spellward.artifacts import atomic_write
from spellward.editors.objects.sprites import LIBRARY, OBJECTS, SIDE, SPRITES_FILE

CLIP_ART = Path("/usr/share/openclipart/png")
SOURCES = {
    "apple": "food/fruit/apple.png",
    "banana": "food/fruit/banana.png",
    "strawberry": "food/fruit/strawberry_simple.png",
    "lemon": "food/fruit/lemon.png",
    "watermelon": "food/fruit/watermelon_simple.png",
    "cherry": "food/fruit/cherries.png",
    "pear": "food/fruit/pear_simple.png",
    "grapes": "food/fruit/grapes_simple.png",
    "pumpkin": "food/pumpkin_erik_postma_01.png",
    "mushroom": "plants/mushroom.png",
    "tree": "plants/trees/evergreen/christmas_tree_02.png",
    "butterfly": "animals/bugs/butterfly_jonathan_dietr_01.png",
    "ladybug": "animals/bugs/ladybug_01.png",
    "duck": "recreation/toys/rubber_duck1_ganson.png",
    "cat": "animals/mammals/cartoon_cat_gerald_g._01.png",
    "penguin": "animals/birds/new_penguin_charles_mcco_01.png",
    "turtle": "animals/turtle_jurgen_gaeremyn_01.png",
    "snowman": "recreation/holiday/snowman_01.png",
    "heart": "recreation/holiday/valentines/heart.png",
    "balloon": "recreation/party/balloon-red-aj.png",
    "sun": "recreation/holiday/sunshine_matthew_gates_01.png",
    "moon": "geography/astronomy/moon-crescent2.png",
    "umbrella": "tools/umbrella.png",
    "gift": "recreation/holiday/gift01.png",
    "anchor": "transportation/anchor.png",
    "guitar": "recreation/music/guitar_jarno_vasamaa1.png",
    "clock": "signs_and_symbols/clocks/clock02.png",
    "camera": "electronics/camera_michael_tunniclif_01.png",
    "teapot": "food/beverages/teapot_ganson.png",
    "mug": "food/beverages/mug.png",
    "hat": "recreation/party/tophat_benji_park_01.png",
    "rocket": "transportation/vehicles/rocket.png",
    "sailboat": "transportation/boating/sailboat_illustration.png",
    "bicycle": "transportation/vehicles/bicycle_01.png",
    "lamp": "office/desk_lamp_gerald_g._01.png",
    "book": "education/books/book_01.png",
    "scissors": "education/scissors.png",
    "hammer": "tools/hammer_nicu_buculei_01.png",
    "football": "recreation/sports/soccer_ball_ganson.png",
    "die": "recreation/dice.png",
    "lighthouse": "buildings/lighthouse_matthew_gates_.png",
    "house": "buildings/homes/small_house_01.png",
    "cake": "recreation/party/birthday_cake.png",
    "hamburger": "food/meats_and_eggs/hamburger_ganson.png",
    "sunglasses": "people/clothing/sunglasses_01.png",
    "padlock": "computer/icons/lemon-theme/actions/encrypted.png",
}


def sprite(path: Path) -> Image.Image:
    """An object cut to what is visible, in the middle of a transparent square."""
    picture = Image.open(path).convert("RGBA")
    picture = picture.crop(picture.getchannel("A").getbbox())
    scale = SIDE / max(picture.size)
    size = (max(1, round(picture.width * scale)), max(1, round(picture.height * scale)))
    # Premultiplied, so that what is hidden does not bleed into the edges.
    picture = picture.convert("RGBa").resize(size, Image.Resampling.LANCZOS).convert("RGBA")
    square = Image.new("RGBA", (SIDE, SIDE))
    square.paste(picture, ((SIDE - size[0]) // 2, (SIDE - size[1]) // 2))
    return square


def main() -> None:
    row = Image.new("RGBA", (SIDE * len(OBJECTS), SIDE))
    for place, name in enumerate(OBJECTS):
        row.paste(sprite(CLIP_ART / SOURCES[name]), (SIDE * place, 0))
    buffer = io.BytesIO()
    row.save(buffer, "PNG", optimize=True)
    atomic_write(LIBRARY / SPRITES_FILE, buffer.getvalue())
    lines = [f"| {name} | `{SOURCES[name]}` |" for name in OBJECTS]
    text = (
        "# Objects that the object editor adds\n\n"
        "From the Open Clip Art Library (Debian package `openclipart-png`), public domain; files below `png/`.\n"
        "Built by `python benchmarks/build_objects.py`.\n\n| object | file |\n|---|---|\n"
    )
    atomic_write(LIBRARY / "README.md", text + "\n".join(lines) + "\n")
    print(f"{len(OBJECTS)} objects, {(LIBRARY / SPRITES_FILE).stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
