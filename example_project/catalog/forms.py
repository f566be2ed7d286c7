from django import forms

from catalog.cart import MOST


class AddForm(forms.Form):
    quantity = forms.IntegerField(min_value=1, max_value=MOST, initial=1)


class ChangeForm(forms.Form):
    quantity = forms.IntegerField(min_value=0, max_value=MOST)


class PriceForm(forms.Form):
    price = forms.DecimalField(min_value=0, max_digits=8, decimal_places=2)
