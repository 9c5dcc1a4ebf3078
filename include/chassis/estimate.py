"""What a plan will take: calls, tokens, dollars, and how wide and how deep it is."""
