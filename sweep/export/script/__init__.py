"""A trial as a script that needs Keras and NumPy alone.

The script builds the network that `sweep.network` builds, with the same first weights, and serves
the batches that the reference engine serves. It contains only what the trial's config needs.
"""

import json
import re

from sweep import __version__
from sweep.export.script.images import has_own_classes, image_blocks
from sweep.export.script.layout import lines
from sweep.export.script.network import network_blocks
from sweep.export.script.training import callbacks, training_blocks
from sweep.export.subject import Subject
from sweep.spec.model import DataSpec
from sweep.trial import TrialConfig

STREAM_SEED = '''\
def stream_seed(purpose: str, index: int) -> int:
    """A seed of its own for every use of randomness; all follow from SEED."""
    digest = hashlib.sha256(f"{SEED}/{purpose}/{index}".encode()).digest()
    return int.from_bytes(digest[:4], "big") >> 1
'''

RUN_MAIN = """\
if __name__ == "__main__":
    main()
"""


def render_script(subject: Subject) -> str:
    """The script, as text."""
    return assemble(
        subject.config,
        seed=subject.seed,
        data=subject.spec.data,
        docstring=_docstring(subject),
        name=f"trial-{subject.number}",
    )


def assemble(config: TrialConfig, *, seed: int, data: DataSpec, docstring: str, name: str) -> str:
    """The script of a config.

    Args:
        config: What to train, canonical.
        seed: Seed of all randomness.
        data: What to train on.
        docstring: What the script says of itself.
        name: Stem of the file of weights that it writes.
    """
    own_classes = has_own_classes(data)
    blocks = [
        _constants(config, seed),
        STREAM_SEED,
        *image_blocks(config, data),
        *network_blocks(config, "classes" if own_classes else "10"),
        *training_blocks(config),
        _main(config, data, name),
        RUN_MAIN,
    ]
    body = "\n\n".join(blocks)
    modules = [m for m in ("argparse", "hashlib", "math") if re.search(rf"\b{m}\.", body)]
    imports = "".join(f"import {module}\n" for module in modules)
    return f'"""{docstring}"""\n\n{imports}\nimport keras\nimport numpy as np\n\n{body}'


def _docstring(subject: Subject) -> str:
    title = subject.title
    text = [
        f"{title[0].upper()}{title[1:]}.",
        "",
        f"{subject.outcome}.",
        f"Trained on {subject.data}.",
        f"Written by sweep {__version__}.",
        "",
        "Builds the same network with the same first weights and trains it on the same batches,",
        "with Keras (tried with TensorFlow) and NumPy alone: `python FILE --help`.",
    ]
    text += _provisos(subject)
    if subject.record.data_name == "synthetic":
        text += [
            "",
            "The trial trained on synthetic images. This script trains on CIFAR-10 unless --data",
            "names others, so that its figures are not those of the trial.",
        ]
    joined = "\n".join(text) + "\n"
    return joined.replace("\\", "\\\\").replace('"', '\\"')


def _provisos(subject: Subject) -> list[str]:
    """Why plain Keras may not give the figures of the trial, if it may not."""
    text = []
    if subject.engine == "fused":
        masks = " and draws other dropout masks" if subject.config.dropout != "none" else ""
        text += [
            "",
            f"The trial was trained by the fused engine, which rounds otherwise{masks}:",
            "expect figures near those of the trial, not equal to them.",
        ]
    if subject.backend != "tensorflow":
        text += [
            "",
            f"Keras ran on {subject.backend}, which drew the first weights. For the same ones:",
            f"`KERAS_BACKEND={subject.backend} python FILE`.",
        ]
    return text


def _constants(config: TrialConfig, seed: int) -> str:
    return lines(
        f"SEED = {seed}",
        f"EPOCHS = {config.epochs}",
        f"BATCH_SIZE = {config.batch_size}",
        f"DEPTH = {config.depth}",
        f"WIDTH = {config.width}",
        f"SHIFT = {config.shift}" if config.shift else None,
        "",
    )


def _main(config: TrialConfig, data: DataSpec, name: str) -> str:
    own_classes = has_own_classes(data)
    source = "its path" if own_classes else "CIFAR-10 if not given"
    default = f"default={_quoted(data.name)}, " if own_classes else ""
    arguments = ["*training_statistics(train[0])"] if config.scaling != "unit" else []
    if own_classes:
        arguments.append("int(archive[1].max()) + 1")
    return lines(
        "def main() -> None:",
        '    """Train, save the weights, and evaluate them on the test set."""',
        "    parser = argparse.ArgumentParser()",
        f'    parser.add_argument("--data", {default}help=".npz file; {source}")'
        if not own_classes
        else f"    parser.add_argument(\n"
        f'        "--data",\n'
        f"        default={_quoted(data.name)},\n"
        f'        help=".npz file with x_train and y_train",\n'
        f"    )",
        '    parser.add_argument("--epochs", type=int, default=EPOCHS)',
        f'    parser.add_argument("--weights", default="{name}.weights.h5")',
        "    options = parser.parse_args()",
        "",
        "    archive, test = load_data(options.data)",
        "    train, validation = split(*archive)",
        "    batches = TrainingBatches(*train)",
        f"    model = build_model({', '.join(arguments)})",
        "    compile_model(model, len(batches))",
        callbacks(config),
        "    model.fit(",
        "        batches,",
        "        epochs=options.epochs,",
        "        validation_data=validation,",
        "        validation_batch_size=1000,",
        "        shuffle=False,",
        "        callbacks=callbacks,",
        "    )",
        "    model.save_weights(options.weights)",
        "    if test is not None:",
        "        loss, accuracy = model.evaluate(*test, batch_size=1000, verbose=0)",
        '        print(f"test loss {loss:.4f}, test accuracy {accuracy:.4f}")',
        "",
    )


def _quoted(text: str) -> str:
    return repr(text) if '"' in text else json.dumps(text, ensure_ascii=False)
