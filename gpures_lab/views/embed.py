"""The widget that carries the figures, with the manners that jupyter_bokeh's own lacks."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from gpures_lab.views.page import Page

__all__ = ["figures_widget"]


def figures_widget(page: Page) -> Any:
    """Return ``page`` as a widget; a function, because its base exists only with the extra."""
    from bokeh.core.json_encoder import serialize_json
    from jupyter_bokeh import BokehModel

    class Figures(BokehModel):  # type: ignore[misc]
        _over = False

        def get_state(self, key: Any = None, drop_defaults: bool = False) -> dict[str, Any]:
            # Asked for all by a page that was loaded again: it gets the figures of now, where
            # jupyter_bokeh has those of the beginning, and the curves would start anew.
            found: dict[str, Any] = super().get_state(key, drop_defaults)
            if key is None:
                with page.lock:
                    found["render_bundle"] = serialize_json(self._model_to_traits(page.root))
            return found

        def close(self) -> None:
            # Once: ipywidgets closes again when the object dies, and Bokeh raises KeyError then.
            if not self._over:
                self._over = True
                super().close()

        def _sync_model(self, *message: Any) -> None:
            with page.lock:  # a zoom in the browser patches the document that the ticker streams to
                super()._sync_model(*message)

    return Figures(page.root, _view_count=0)
