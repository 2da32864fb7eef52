"""BA-LoRA in a training loop of your own: attach, reference_of and Objective are all you need.

Run `python examples/plain_loop.py [MODEL]`; without a model folder a tiny random Llama is made on the spot.
"""

import sys

import torch
from transformers import AutoModelForCausalLM, LlamaConfig

from balora import AdapterConfig, Objective, ObjectiveConfig, attach, export_adapter, reference_of

STEPS = 20


def main(argv: list[str]) -> None:
    torch.manual_seed(0)
    if argv:
        model = AutoModelForCausalLM.from_pretrained(argv[0])
    else:
        model = AutoModelForCausalLM.from_config(
            LlamaConfig(vocab_size=128, hidden_size=32, intermediate_size=64, num_hidden_layers=2,
                        num_attention_heads=4, num_key_value_heads=4, max_position_embeddings=64)
        )  # fmt: skip
    model = attach(model, AdapterConfig(rank=4))  # PiSSA by default; the base weights are never written
    objective = Objective(ObjectiveConfig.preset("ba-lora", family="nlg"))
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=2e-3)

    batch = torch.randint(1, model.config.vocab_size, (4, 24))  # your data; here, something to memorise
    labels = batch[:, 1:].flatten()  # the logits at position t predict token t + 1

    for step in range(STEPS):
        with reference_of(model):  # inside this block, the model computes what the pre-trained model does
            reference = model(batch).logits[:, :-1].flatten(0, 1)
        student = model(batch).logits[:, :-1].flatten(0, 1)
        terms = objective.from_logits(student, reference, labels, progress=step / STEPS)
        optimizer.zero_grad()
        terms.loss.backward()
        optimizer.step()
        if step % 5 == 0 or step == STEPS - 1:
            print(f"step {step:2}  loss {terms.loss:.4f}  task {terms.task:.4f}  consistency {terms.consistency:.2e}")

    if len(argv) > 1:
        print("plain LoRA:", export_adapter(model, argv[1]))


if __name__ == "__main__":
    main(sys.argv[1:])
