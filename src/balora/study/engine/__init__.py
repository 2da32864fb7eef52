"""Who carries a plan out: the pool of worker processes, and what people see meanwhile."""
