"""Study files: read a YAML file into a base, arms, factors and candidates."""
