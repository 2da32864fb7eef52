"""Grade answers to MT-Bench by a judge: any server that speaks OpenAI's chat completions; torch-free."""
