"""The part of the script that says how the network is trained."""

from sweep.export.script.layout import call, lines
from sweep.trial import TrialConfig

OPTIMIZERS = {
    "sgd": "SGD",
    "rmsprop": "RMSprop",
    "adam": "Adam",
    "adamw": "AdamW",
    "nadam": "Nadam",
}
STEP_SCHEDULES = ("one_cycle", "cosine", "exponential")

ONE_CYCLE = '''\
class OneCycle(keras.optimizers.schedules.LearningRateSchedule):
    """Straight up from a tenth of the highest rate, back, then almost to nothing."""

    def __init__(self, highest: float, steps: int) -> None:
        self.highest, self.steps = highest, steps
        first, last = highest / 10, highest / 10 / 1000
        half = (steps - (steps // 10 + 1)) // 2
        corners = [(0, first), (half, highest), (2 * half, first), (steps, last)]
        self.corners = corners if half > 0 else [corners[0], corners[-1]]

    def __call__(self, step):
        rate = keras.ops.convert_to_tensor(np.float64(self.corners[-1][1]))
        now = keras.ops.cast(step, rate.dtype)
        lines = list(zip(self.corners, self.corners[1:]))
        for (start, low), (end, high) in reversed(lines):
            line = low + (high - low) * (now - start) / (end - start)
            rate = keras.ops.where(now < end, line, rate)
        return rate

    def get_config(self) -> dict[str, object]:
        return {"highest": self.highest, "steps": self.steps}
'''

SMOOTHED_LOSS = '''\
def smoothed_cross_entropy(labels, probabilities):
    """Cross-entropy with a share of each label spread over all classes."""
    flat = keras.ops.reshape(labels, (-1,))
    one_hot = keras.ops.one_hot(flat, probabilities.shape[-1])
    return keras.losses.categorical_crossentropy(
        one_hot, probabilities, label_smoothing={share!r}
    )
'''


def training_blocks(config: TrialConfig) -> list[str]:
    """The definitions that say how the network is trained."""
    blocks = []
    if config.schedule == "one_cycle":
        blocks.append(ONE_CYCLE)
    if config.label_smoothing > 0.0:
        blocks.append(SMOOTHED_LOSS.format(share=config.label_smoothing))
    return [*blocks, _compile_model(config)]


def callbacks(config: TrialConfig) -> str:
    """The callbacks, as one statement in the body of a function."""
    items = [
        "keras.callbacks.LambdaCallback(on_epoch_begin=batches.start_epoch)",
        "keras.callbacks.TerminateOnNaN()",
    ]
    if config.schedule == "plateau":
        items.append(
            call(
                "keras.callbacks.ReduceLROnPlateau",
                [f"factor={config.plateau_factor!r}", f"patience={config.plateau_patience}"],
            )
        )
    if config.early_stopping != "none":
        items.append(
            call(
                "keras.callbacks.EarlyStopping",
                [
                    f'monitor="{config.early_stopping}"',
                    f'mode="{"min" if config.early_stopping == "val_loss" else "max"}"',
                    f"patience={config.patience}",
                    f"restore_best_weights={config.restore_best_weights}",
                ],
                indent=8,
            ).lstrip()
        )
    listed = "\n".join(f"        {item}," for item in items)
    return f"    callbacks = [\n{listed}\n    ]"


def _compile_model(config: TrialConfig) -> str:
    loss = (
        "smoothed_cross_entropy" if config.label_smoothing else '"sparse_categorical_crossentropy"'
    )
    return lines(
        "def compile_model(model: keras.Model, steps_per_epoch: int) -> None:",
        '    """Give the model its optimizer and loss."""',
        _schedule(config),
        _optimizer(config),
        "    model.compile(",
        "        optimizer=optimizer,",
        f"        loss={loss},",
        '        metrics=[keras.metrics.SparseCategoricalAccuracy(name="accuracy")],',
        "        steps_per_execution=min(25, steps_per_epoch),",
        "        jit_compile=False,",
        "    )",
        "",
    )


def _schedule(config: TrialConfig) -> str | None:
    rate = repr(config.learning_rate)
    match config.schedule:
        case "one_cycle":
            return f"    rate = OneCycle({rate}, EPOCHS * steps_per_epoch)"
        case "cosine":
            callee = "CosineDecay"
            arguments = ["decay_steps=EPOCHS * steps_per_epoch", f"alpha={config.cosine_floor!r}"]
        case "exponential":
            callee = "ExponentialDecay"
            arguments = ["decay_steps=steps_per_epoch", f"decay_rate={config.exponential_decay!r}"]
        case _:
            return None
    callee = f"keras.optimizers.schedules.{callee}"
    # Keras computes a schedule in the precision of its first number.
    return call(callee, [f"np.float64({rate})", *arguments], before="rate = ", indent=4)


def _optimizer(config: TrialConfig) -> str:
    rate = "rate" if config.schedule in STEP_SCHEDULES else repr(config.learning_rate)
    arguments = [f"learning_rate={rate}"]
    if config.optimizer == "sgd" and config.momentum > 0.0:
        arguments.append(f"momentum={config.momentum!r}")
        if config.nesterov:
            arguments.append("nesterov=True")
    if config.weight_decay > 0.0 or config.optimizer == "adamw":
        arguments.append(f"weight_decay={config.weight_decay!r}")
    if config.clip_norm > 0.0:
        arguments.append(f"global_clipnorm={config.clip_norm!r}")
    callee = f"keras.optimizers.{OPTIMIZERS[config.optimizer]}"
    return call(callee, arguments, before="optimizer = ", indent=4)
