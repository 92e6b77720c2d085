"""From raw scans to training episodes, in folders by step."""
