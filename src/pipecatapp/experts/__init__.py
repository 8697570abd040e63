"""Who answers: the experts, and what happens when one fails."""
