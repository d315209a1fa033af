"""What screens and reports draw with: signs and looks, bars, axes, tables of characters. Pure."""
