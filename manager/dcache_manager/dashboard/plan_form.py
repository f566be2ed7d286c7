"""The form that asks what a resize should change."""

import re
from typing import Any

from django import forms

from ..rebalance.layout_change import LayoutChange

_separators = re.compile(r"[\s,]+")


class PlanForm(forms.Form):
    """As the options of `rebalance plan`; nothing filled in: what LOCATION says."""

    add = forms.CharField(
        required=False, label="Add nodes", help_text="HOST:PORT or NAME=HOST:PORT, separated by spaces"
    )
    remove = forms.MultipleChoiceField(
        required=False, label="Remove nodes", widget=forms.CheckboxSelectMultiple, choices=()
    )
    weights = forms.CharField(required=False, label="Change weights", help_text="NAME=WEIGHT, 1 to 100")
    replicas = forms.IntegerField(required=False, label="Copies of each key", min_value=1, max_value=9)
    max_rate = forms.FloatField(
        required=False, label="Keys a second, at most", min_value=1, help_text="while it moves them; empty: no limit"
    )

    def __init__(self, nodes: list[str], *arguments: Any, **named: Any):
        super().__init__(*arguments, **named)
        self.fields["remove"].choices = [(name, name) for name in nodes]

    def clean_add(self) -> list[str]:
        return _words(self.cleaned_data["add"])

    def clean_weights(self) -> dict[str, int]:
        weights = {}
        for entry in _words(self.cleaned_data["weights"]):
            name, _, weight = entry.rpartition("=")
            if not name or not weight.isdecimal():
                raise forms.ValidationError("%(entry)s is not NAME=WEIGHT", params={"entry": entry})
            weights[name] = int(weight)
        return weights

    @property
    def change(self) -> LayoutChange:
        """What a valid form asks for."""
        given = self.cleaned_data
        return LayoutChange(given["add"], given["remove"], given["weights"], given["replicas"])


def _words(text: str) -> list[str]:
    return [word for word in _separators.split(text) if word]
