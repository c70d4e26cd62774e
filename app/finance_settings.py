"""The settings of finance: the table `[finance]`."""

from __future__ import annotations

from app.recognition_settings import RecognitionSettings


class FinanceSettings(RecognitionSettings):
    """What finance decides."""
