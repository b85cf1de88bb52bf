"""Tests of the figures and the dashboard."""
