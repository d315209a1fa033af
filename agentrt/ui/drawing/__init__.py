"""What screens and reports draw with: bars, axes, tables of characters. Pure."""
