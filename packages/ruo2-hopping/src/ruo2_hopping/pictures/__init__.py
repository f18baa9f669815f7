"""Pictures of a search; they need the optional extra [pictures]."""

from ruo2_hopping.pictures.figure import save_figure
from ruo2_hopping.pictures.search import draw_search
from ruo2_hopping.pictures.slab import draw_slab

__all__ = ["draw_search", "draw_slab", "save_figure"]
