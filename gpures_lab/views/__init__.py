"""What the engine did, drawn: Bokeh figures, a dashboard, a static report.

``readings`` (one row of plain numbers a tick) → ``figures`` (one definition of each figure) →
``page`` (all of them over one source) → ``report`` (one file) and ``live`` (controls, and
the thread that moves it). Bokeh is imported at the first use.
"""

from gpures_lab.views.live import Dashboard, close_dashboard, dashboard
from gpures_lab.views.page import Page
from gpures_lab.views.readings import Reader
from gpures_lab.views.report import save_report

__all__ = ["Dashboard", "Page", "Reader", "close_dashboard", "dashboard", "save_report"]
