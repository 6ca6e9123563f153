"""Programmes: on what terms a broker pays for a lead, and how far leads are from them."""
