"""What a study asks: reading its YAML file into a base, arms, factors and candidates."""
