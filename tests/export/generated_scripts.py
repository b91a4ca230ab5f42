"""Generated scripts, run as modules, and the configs to generate them from."""

from collections.abc import Iterator
from types import ModuleType

from hypothesis import strategies as st

from sweep.export.script import assemble
from sweep.spec.model import DataSpec
from sweep.trial import FIELDS, FieldInfo, TrialConfig, Value

SMALL: dict[str, Value] = {"depth": 2, "width": 7, "batch_size": 16, "epochs": 3}
SEED = 1234


def make(**fields: Value) -> TrialConfig:
    """A small network."""
    return TrialConfig(**(SMALL | fields)).canonical()  # type: ignore[arg-type]


def script(config: TrialConfig, data: DataSpec | None = None) -> str:
    """The script of a config."""
    return assemble(
        config, seed=SEED, data=data or DataSpec(), docstring="A test.", name="trial-1"
    )


def module(text: str) -> ModuleType:
    """A script as a module; its `main` is not run."""
    made = ModuleType("generated")
    exec(compile(text, "generated.py", "exec"), made.__dict__)
    return made


def every_choice() -> Iterator[TrialConfig]:
    """One config for each choice of each field, with the condition of each field met."""
    for info in FIELDS.values():
        conditions = {name: values[0] for name, values in info.when.items()}
        if info.name == "nesterov":
            conditions["momentum"] = 0.9
        for value in _values(info):
            yield make(**(conditions | {info.name: value}))


def mixed_choices() -> tuple[TrialConfig, ...]:
    """A few configs in which every choice of every field has its effect at least once."""
    turns = [
        make(**{info.name: _values(info)[turn % len(_values(info))] for info in FIELDS.values()})
        for turn in range(11)
    ]
    return (
        *turns,
        make(optimizer="sgd", momentum=0.9, nesterov=True, schedule="cosine"),
        make(kernel_initializer="sparse", max_norm=2.0, l1=0.01, optimizer="adamw"),
        make(dropout="alpha_dropout", dropout_position="last", activation="leaky_relu"),
        make(kernel_initializer="random_normal", max_norm=0.0, bias_initializer="constant"),
    )


def _values(info: FieldInfo) -> tuple[Value, ...]:
    if info.name in SMALL:
        return (SMALL[info.name],)
    if info.choices is not None:
        return info.choices
    if info.type is bool:
        return (False, True)
    number = 2 if info.type is int else 0.3
    return (number,) if info.when else (number, info.default)


@st.composite
def configs(draw: st.DrawFn) -> TrialConfig:
    """Any config of a small network."""
    values: dict[str, Value] = {}
    for info in FIELDS.values():
        if info.name in SMALL:
            continue
        if info.choices is not None:
            values[info.name] = draw(st.sampled_from(info.choices))
        elif info.type is bool:
            values[info.name] = draw(st.booleans())
        elif info.type is int:
            values[info.name] = draw(st.integers(int(info.low or 0), min(int(info.high or 0), 9)))
        else:
            low, high = float(info.low or 0.0), min(float(info.high or 0.0), 5.0)
            values[info.name] = draw(st.one_of(st.just(low), st.floats(low, high)))
    return make(**values)
