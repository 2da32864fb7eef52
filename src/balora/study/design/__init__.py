"""Read a study file (YAML) into a base, arms, factors and candidates."""
