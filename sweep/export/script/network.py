"""The part of the script that builds the network, as `sweep.network` does."""

from sweep.export.script.layout import apply_layer, call, lines
from sweep.trial import TrialConfig

ACTIVATIONS = {"swish": "silu"}
INITIALIZERS = {
    "glorot_normal": "GlorotNormal",
    "glorot_uniform": "GlorotUniform",
    "he_normal": "HeNormal",
    "he_uniform": "HeUniform",
    "lecun_normal": "LecunNormal",
    "lecun_uniform": "LecunUniform",
    "orthogonal": "Orthogonal",
}
LAYER_SEED = 'seed=stream_seed("weights", layer)'

CONSTANT_KERNEL = '''\
def constant_kernel(layer: int, fan_in: int) -> keras.Initializer:
    """Makes all weights of a layer equal: one number from He's normal distribution."""
    generator = np.random.default_rng(stream_seed("weights", layer))
    return keras.initializers.Constant(generator.normal(0.0, math.sqrt(2.0 / fan_in)))
'''

SPARSE_KERNEL = '''\
def sparse_kernel(layer: int, fan_in: int) -> np.ndarray:
    """Every unit keeps the same number of incoming weights, drawn as He would."""
    kept = max(1, round((1.0 - {sparsity!r}) * fan_in))
    generator = np.random.default_rng(stream_seed("weights", layer))
    inputs = generator.permuted(np.tile(np.arange(fan_in), (WIDTH, 1)), axis=1)
    values = generator.normal(0.0, math.sqrt(2.0 / kept), size=(WIDTH, kept))
    kernel = np.zeros((WIDTH, fan_in), np.float32)
    np.put_along_axis(kernel, inputs[:, :kept], values.astype(np.float32), axis=1)
    return np.ascontiguousarray(kernel.T)
'''

KEEP_ZEROS = '''\
class KeepZeros(keras.constraints.Constraint):
    """Keeps the zeros of a sparse kernel at zero."""

    def __init__(self, mask: np.ndarray) -> None:
        self.mask = mask.astype(np.float32)

    def __call__(self, weights):
{body}
'''


def network_blocks(config: TrialConfig, classes: str) -> list[str]:
    """The definitions that make up the network.

    Args:
        config: What the trial trained.
        classes: Code for the number of classes.
    """
    blocks = []
    if config.kernel_initializer == "constant":
        blocks.append(CONSTANT_KERNEL)
    if config.kernel_initializer == "sparse":
        blocks.append(SPARSE_KERNEL.format(sparsity=config.kernel_sparsity))
        masked = "weights * keras.ops.convert_to_tensor(self.mask)"
        body = f"        return {masked}"
        if config.max_norm > 0.0:
            body = f"        masked = {masked}\n        return {_max_norm(config)}(masked)"
        blocks.append(KEEP_ZEROS.format(body=body))
    return [*blocks, _build_model(config, classes)]


def _build_model(config: TrialConfig, classes: str) -> str:
    standardised = config.scaling != "unit"
    parameters = "mean: np.ndarray, deviation: np.ndarray" if standardised else ""
    if classes == "classes":
        parameters += ", classes: int" if parameters else "classes: int"
    return lines(
        f"def build_model({parameters}) -> keras.Model:",
        '    """The network with its first weights; it takes raw pixels, 0 to 255."""',
        '    image = keras.Input((32, 32, 3), name="image")',
        '    signal = keras.layers.Rescaling(1.0 / 255.0, name="scaling")(image)',
        _standardisation(config) if standardised else None,
        '    signal = keras.layers.Flatten(name="flatten")(signal)',
        "    for layer in range(DEPTH):",
        _hidden_dense(config),
        _batch_norm(config) if config.batch_norm == "before" else None,
        _activation(config),
        _batch_norm(config) if config.batch_norm == "after" else None,
        _dropout(config) if config.dropout != "none" else None,
        _output(config, classes),
        '    return keras.Model(image, output, name="deep_network")',
        "",
    )


def _standardisation(config: TrialConfig) -> str:
    axis = "(1, 2, 3)" if config.scaling == "feature" else "-1"
    return apply_layer(
        "keras.layers.Normalization",
        [
            f"axis={axis}",
            "mean=mean",
            "variance=np.square(deviation)",
            'name="standardisation"',
        ],
        indent=4,
    )


def _hidden_dense(config: TrialConfig) -> str:
    sparse = config.kernel_initializer == "sparse"
    arguments = ["WIDTH", 'kernel_initializer="zeros"' if sparse else "kernel_initializer=kernel"]
    if config.bias_initializer == "constant":
        value = f"keras.initializers.Constant({config.bias_value!r})"
        arguments.append(f"bias_initializer={value}")
    penalties = [f"{n}={getattr(config, n)!r}" for n in ("l1", "l2") if getattr(config, n)]
    if penalties:
        arguments.append(f"kernel_regularizer=keras.regularizers.L1L2({', '.join(penalties)})")
    if sparse:
        arguments.append("kernel_constraint=KeepZeros(kernel != 0.0)")
    elif config.max_norm > 0.0:
        arguments.append(f"kernel_constraint={_max_norm(config)}")
    arguments.append('name=f"hidden_{layer + 1}"')
    if not sparse:
        dense = apply_layer("keras.layers.Dense", arguments, indent=8)
        return lines(_kernel(config), dense)
    return lines(
        _kernel(config),
        call("keras.layers.Dense", arguments, before="dense = ", indent=8),
        "        signal = dense(signal)",
        "        dense.kernel.assign(kernel)",
    )


def _kernel(config: TrialConfig) -> str:
    match config.kernel_initializer:
        case "constant" | "sparse" as name:
            callee, arguments = f"{name}_kernel", ["layer", "signal.shape[-1]"]
        case "random_normal":
            callee = "keras.initializers.RandomNormal"
            arguments = [f"stddev={config.kernel_stddev!r}", LAYER_SEED]
        case name:
            callee, arguments = f"keras.initializers.{INITIALIZERS[name]}", [LAYER_SEED]
    return call(callee, arguments, before="kernel = ", indent=8)


def _max_norm(config: TrialConfig) -> str:
    return f"keras.constraints.MaxNorm({config.max_norm!r})"


def _batch_norm(config: TrialConfig) -> str:
    return apply_layer(
        "keras.layers.BatchNormalization",
        [f"momentum={config.batch_norm_momentum!r}", 'name=f"batch_norm_{layer + 1}"'],
        indent=8,
    )


def _activation(config: TrialConfig) -> str:
    name = 'name=f"activation_{layer + 1}"'
    match config.activation:
        case "leaky_relu":
            callee, arguments = "keras.layers.LeakyReLU", [repr(config.leaky_relu_slope), name]
        case "prelu":
            callee, arguments = "keras.layers.PReLU", [name]
        case function:
            keras_name = ACTIVATIONS.get(function, function)
            callee, arguments = "keras.layers.Activation", [f'"{keras_name}"', name]
    return apply_layer(callee, arguments, indent=8)


def _dropout(config: TrialConfig) -> str:
    callee = "Dropout" if config.dropout == "dropout" else "AlphaDropout"
    last = config.dropout_position == "last"
    layer = "DEPTH - 1" if last else "layer"
    number = '"dropout_{DEPTH}"' if last else '"dropout_{layer + 1}"'
    return apply_layer(
        f"keras.layers.{callee}",
        [repr(config.dropout_rate), f'seed=stream_seed("dropout", {layer})', f"name=f{number}"],
        indent=4 if last else 8,
    )


def _output(config: TrialConfig, classes: str) -> str:
    kernel = 'keras.initializers.GlorotUniform(seed=stream_seed("weights", DEPTH))'
    if config.kernel_initializer == "constant":
        kernel = "constant_kernel(DEPTH, signal.shape[-1])"
    return lines(
        f"    kernel = {kernel}",
        call(
            "keras.layers.Dense",
            [classes, 'activation="softmax"', "kernel_initializer=kernel", 'name="output"'],
            before="output = ",
            indent=4,
        )
        + "(signal)",
    )
