"""The part of the script that loads, splits, scales and serves the images."""

from sweep.export.script.layout import lines
from sweep.spec.model import DataSpec
from sweep.trial import TrialConfig

LOAD_NPZ = """\
    with np.load(path) as file:
        archive = file["x_train"], file["y_train"].ravel()
        test = (file["x_test"], file["y_test"].ravel()) if "x_test" in file else None
    return archive, test
"""

LOAD_FILE = f'''\
def load_data(path: str):
    """Training archive and test set, if there is one, of an .npz file."""
{LOAD_NPZ}'''

LOAD_CIFAR10 = f'''\
def load_data(path: str | None):
    """Training archive and test set: CIFAR-10, or those of an .npz file."""
    if path is None:
        archive, test = keras.datasets.cifar10.load_data()
        return (archive[0], archive[1].ravel()), (test[0], test[1].ravel())
{LOAD_NPZ}'''

STATISTICS = '''\
def training_statistics(images: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and standard deviation per {kind} of pixels in [0, 1]."""
    mean = images.mean(axis={axis}, dtype=np.float64) / 255.0
    deviation = images.std(axis={axis}, dtype=np.float64) / 255.0
    deviation[deviation == 0.0] = 1.0
    return mean.astype(np.float32), deviation.astype(np.float32)
'''

MIRRORED = '''\
def mirrored(images: np.ndarray, flips: np.ndarray) -> np.ndarray:
    """Flip the images left to right where `flips` is true."""
    return np.where(flips[:, None, None, None], images[:, :, ::-1], images)
'''

SHIFTED = '''\
def shifted(images: np.ndarray, shifts: np.ndarray) -> np.ndarray:
    """Move each image down and right by its shifts; what moves in is black."""
    padded = np.pad(images, ((0, 0), (SHIFT, SHIFT), (SHIFT, SHIFT), (0, 0)))
    rows = np.arange(32) + SHIFT - shifts[:, :1]
    columns = np.arange(32) + SHIFT - shifts[:, 1:]
    each = np.arange(len(images))[:, None, None]
    return padded[each, rows[:, :, None], columns[:, None, :]]
'''

BATCHES = '''\
class TrainingBatches(keras.utils.PyDataset):
    """All training images once per epoch, in an order that follows from SEED."""

    def __init__(self, images: np.ndarray, labels: np.ndarray) -> None:
        super().__init__()
        self.images, self.labels = images, labels
        self.start_epoch(0)

    def __len__(self) -> int:
        return math.ceil(len(self.labels) / BATCH_SIZE)

    def __getitem__(self, index: int):
        window = slice(index * BATCH_SIZE, (index + 1) * BATCH_SIZE)
        chosen = self.order[window]
        images = self.images[chosen]
'''

START_EPOCH = '''\

    def start_epoch(self, epoch: int, logs=None) -> None:
        """Draw what is random in an epoch, counted from 0; a callback for its begin."""
        generator = np.random.default_rng(stream_seed("shuffle", epoch + 1))
        self.order = generator.permutation(len(self.labels))
'''


def has_own_classes(data: DataSpec) -> bool:
    """Whether the number of classes is only known when the data is there."""
    return data.name not in ("cifar10", "synthetic")


def image_blocks(config: TrialConfig, data: DataSpec) -> list[str]:
    """The definitions that load, split, scale and serve the images."""
    blocks = [LOAD_FILE if has_own_classes(data) else LOAD_CIFAR10, _split(data)]
    if config.scaling != "unit":
        axis = "0" if config.scaling == "feature" else "(0, 1, 2)"
        blocks.append(STATISTICS.format(kind=config.scaling, axis=axis))
    if config.flip:
        blocks.append(MIRRORED)
    if config.shift:
        blocks.append(SHIFTED)
    return [*blocks, _batches(config)]


def _split(data: DataSpec) -> str:
    validation = data.validation
    held = validation.images
    count = f"round({validation.share!r} * len(labels))" if held is None else str(held)
    most = data.train_images
    if validation.take == "first":
        stop = "None" if most is None else f"held_out + {most}"
        train, held_out = f"slice(held_out, {stop})", "slice(held_out)"
    else:
        stop = "first" if most is None else f"min(first, {most})"
        train, held_out = f"slice({stop})", "slice(first, None)"
    return lines(
        "def split(images: np.ndarray, labels: np.ndarray):",
        '    """The training and the validation split."""',
        f"    held_out = {count}",
        "    first = len(labels) - held_out" if validation.take == "last" else None,
        f"    train, validation = {train}, {held_out}",
        "    return (images[train], labels[train]), (images[validation], labels[validation])",
        "",
    )


def _batches(config: TrialConfig) -> str:
    serve, draw = [], []
    if config.flip or config.shift:
        draw += [
            '        generator = np.random.default_rng(stream_seed("augment", epoch + 1))',
            "        chances = generator.random(len(self.labels))",
        ]
    if config.flip:
        serve.append("        images = mirrored(images, self.flips[window])")
        draw.append("        self.flips = chances < 0.5")
    if config.shift:
        serve.append("        images = shifted(images, self.shifts[window])")
        draw += [
            "        self.shifts = generator.integers(",
            "            -SHIFT, SHIFT, (len(chances), 2), np.int32, endpoint=True",
            "        )",
        ]
    body = [*serve, "        return images, self.labels[chosen]"]
    return BATCHES + "\n".join(body) + "\n" + START_EPOCH + "".join(f"{line}\n" for line in draw)
