"""What a cell costs over the call it makes."""
